"""The certificate controller: gets certificates from their issuers and renews them."""

from hearth.controllers.certificate.wiring import IssuingCaches, make_issuing

__all__ = ["IssuingCaches", "make_issuing"]
