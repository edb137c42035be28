"""Route: turns shares of traffic into revisions, and tells when every gateway has them."""

from hearth.controllers.route.reconciler import RouteReconciler

__all__ = ["RouteReconciler"]
