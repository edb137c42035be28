"""The certificate controller: gets certificates from their issuers and renews them."""

from hearth.controllers.certificate.reconciler import CertificateReconciler

__all__ = ["CertificateReconciler"]
