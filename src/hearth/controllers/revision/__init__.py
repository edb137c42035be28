"""Revision: makes the PooledReplicaSet that runs it and reads from it how the revision fares."""

from hearth.controllers.revision.reconciler import RevisionReconciler

__all__ = ["RevisionReconciler"]
