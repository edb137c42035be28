"""Knative's config maps as values.

Each is read by one function from the map's data; what it cannot read it refuses with
``ValueError`` that names the key, what was found and what was expected.
"""

from hearth.api.config.acme import AcmeConfig, read_acme
from hearth.api.config.autoscaler import AutoscalerConfig, read_autoscaler
from hearth.api.config.defaults import DefaultsConfig, read_defaults
from hearth.api.config.deployment import DeploymentConfig, read_deployment
from hearth.api.config.domains import DomainsConfig, read_domains
from hearth.api.config.features import FeaturesConfig, read_features
from hearth.api.config.gc import GcConfig, read_gc
from hearth.api.config.network import NetworkConfig, read_network
from hearth.api.config.observability import ObservabilityConfig, Tracing, read_observability
from hearth.api.config.serving import ServingConfig, read_serving

__all__ = [
    "AcmeConfig",
    "AutoscalerConfig",
    "DefaultsConfig",
    "DeploymentConfig",
    "DomainsConfig",
    "FeaturesConfig",
    "GcConfig",
    "NetworkConfig",
    "ObservabilityConfig",
    "ServingConfig",
    "Tracing",
    "read_acme",
    "read_autoscaler",
    "read_defaults",
    "read_deployment",
    "read_domains",
    "read_features",
    "read_gc",
    "read_network",
    "read_observability",
    "read_serving",
]
