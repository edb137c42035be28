"""Warm pods: kept ready by PodPools, claimed by PooledReplicaSets.

``pool.Pool`` is what the autoscaler and the entry points see. ``core`` decides which warm pod fits
(``matching``) and who gets one (``claims``); ``specialising`` speaks to a loader; ``sets`` and
``pools`` are the reconcilers of the two kinds.
"""

from hearth.pool.pool import Pool

__all__ = ["Pool"]
