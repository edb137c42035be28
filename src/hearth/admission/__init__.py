"""Defaults and validation on a cluster: what our API server does, served as webhooks.

``core.review`` answers an AdmissionReview; ``server`` serves it; ``following`` knows what the
config maps say; ``authority`` keeps the certificate by which the API server knows us, and tells it.
"""

from hearth.admission.authority import Authority
from hearth.admission.following import FollowedConfig
from hearth.admission.server import serve_webhooks

__all__ = ["Authority", "FollowedConfig", "serve_webhooks"]
