"""Composition: the parts of every process put together, and nothing else.

``run_up`` runs everything in one process; ``run_apiserver``, ``run_controller``, ``run_gateway``
and ``run_node`` run the same parts in one each. ``parts`` builds them.
"""

from hearth.up.processes import (
    StartError,
    run_apiserver,
    run_controller,
    run_gateway,
    run_node,
    run_up,
)
from hearth.up.settings import Settings

__all__ = [
    "Settings",
    "StartError",
    "run_apiserver",
    "run_controller",
    "run_gateway",
    "run_node",
    "run_up",
]
