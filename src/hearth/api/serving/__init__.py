"""serving.knative.dev/v1: Service, Configuration, Revision, Route.

``views`` says what fields there are; ``defaults`` and ``validation`` do as Knative's webhook does.
"""

from hearth.api.serving.resources import RESOURCES

__all__ = ["RESOURCES"]
