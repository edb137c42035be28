"""DomainMapping → ClusterDomainClaim and a host of its own at the gateways."""

from hearth.controllers.domainmapping.reconciler import DomainMappingReconciler

__all__ = ["DomainMappingReconciler"]
