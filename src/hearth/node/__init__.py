"""The embedded kubelet: runs the pods that are on its node.

``agent.NodeAgent`` follows the API and keeps a worker per pod, known by UID; ``core`` decides what
becomes of a pod and what its status says; ``processes`` runs pods as processes, forked by zygotes.
"""

from hearth.node.agent import NodeAgent
from hearth.node.settings import NodeSettings

__all__ = ["NodeAgent", "NodeSettings"]
