"""Service: keeps a Configuration and a Route of its name, and shows their state as its own."""

from hearth.controllers.service.reconciler import ServiceReconciler

__all__ = ["ServiceReconciler"]
