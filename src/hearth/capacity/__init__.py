"""Nodes and pods when the API server is ours: placement, and nodes that fall silent."""

from hearth.capacity.nodes import NodeWatch
from hearth.capacity.placement import Placement

__all__ = ["NodeWatch", "Placement"]
