"""Knative's pod autoscaler (KPA) for one shard.

``autoscaler.ShardAutoscaler`` takes the gateways' figures, decides every two seconds and at once
when poked, and makes a revision's first instance when a request waits for it. ``core`` decides.
"""

from hearth.autoscaler.autoscaler import ShardAutoscaler
from hearth.autoscaler.server import serve_autoscaler

__all__ = ["ShardAutoscaler", "serve_autoscaler"]
