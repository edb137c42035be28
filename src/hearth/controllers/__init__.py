"""Knative Serving's controllers: Service → Configuration, Route → Revision → PooledReplicaSet.

Each kind has a package: ``resources`` builds what belongs to an object, ``core`` decides and
computes its status, ``reconciler`` reads the caches, calls both and writes. No object is made
beside the five kinds; routing follows from Routes and Revisions, capacity from PooledReplicaSets.

- A status is computed by one function from what was observed, and written only if it changed.
- Nothing is polled: a reconciler runs when a cache changes, or at a deadline that it set itself.
- After it is made, a PooledReplicaSet's replicas are the autoscaler's.
- Deleting is left to the API server's garbage collection by owner references.

Start with :func:`hearth.controllers.wiring.controllers`.
"""

from hearth.controllers.wiring import controllers

__all__ = ["controllers"]
