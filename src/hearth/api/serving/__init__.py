"""serving.knative.dev: Service, Configuration, Revision, Route (v1), DomainMapping (v1beta1).

``views`` says what fields there are; ``defaults`` and ``validation`` do as Knative's webhook does.
"""

from hearth.api.serving import domain_mappings, resources

RESOURCES = (*resources.RESOURCES, *domain_mappings.RESOURCES)

__all__ = ["RESOURCES"]
