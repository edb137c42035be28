"""Kinds that others look for and that we do not keep: shown as what our own objects mean.

====================  ==================  ==========================================================
PodAutoscaler         Revision            what it asks of the autoscaler, its scale and conditions
Deployment            PooledReplicaSet    named ``<revision>-deployment`` as Knative's
ServerlessService     PooledReplicaSet    whether requests are held for it, or go to its pods
EndpointSlice         PooledReplicaSet    where they go: of the service ``<revision>``
EndpointSlice         Pod of a revision   one per pod, of the service ``<revision>-private``
EndpointSlice         Endpoints           what Kubernetes mirrors
Ingress               Route               its hosts, shares of traffic and certificates
====================  ==================  ==========================================================

They are read, listed and watched, never written. Nothing of them is stored: a service at zero
costs no more for them.

Source: knative.dev/serving pkg/apis/autoscaling/v1alpha1 and pkg/reconciler/{revision/resources,
autoscaling,serverlessservice,route/resources}; knative.dev/networking
pkg/apis/networking/v1alpha1.
"""

from hearth.api.shown.resources import RESOURCES

__all__ = ["RESOURCES"]
