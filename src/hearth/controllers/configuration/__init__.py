"""Configuration: stamps a Revision for every change of its template."""

from hearth.controllers.configuration.reconciler import ConfigurationReconciler

__all__ = ["ConfigurationReconciler"]
