"""Where pods go when the API server is ours: placement."""

from hearth.capacity.placement import Placement

__all__ = ["Placement"]
