"""Gives each namespace what its apps need to trust the certificates of names inside."""

from hearth.controllers.trust.wiring import TrustCaches, make_trust

__all__ = ["TrustCaches", "make_trust"]
