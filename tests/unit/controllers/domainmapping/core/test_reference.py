import pytest

from hearth.controllers.domainmapping.core.reference import UnresolvedError, resolve

SERVING = "serving.knative.dev/v1"


def mapping(kind="Service", api_version=SERVING, name="hello"):
    ref = {"kind": kind, "apiVersion": api_version, "name": name, "namespace": "shop"}
    meta = {"name": "shop.example.com", "namespace": "shop"}
    return {"metadata": meta, "spec": {"ref": ref}}


def known(**urls):
    """Services and Routes by name, with the URL of their address."""

    def find(kind, name):
        if name not in urls:
            return None
        return {"status": {"address": {"url": urls[name]}} if urls[name] else {}}

    return find


HELLO = known(hello="http://hello.shop.svc.cluster.local")


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(mapping(), id="service"),
        pytest.param(mapping("Route"), id="route"),
        pytest.param(mapping(api_version="v1"), id="the Kubernetes Service of a Route"),
    ],
)
def test_it_leads_to_the_route_of_that_name(given):
    assert resolve(given, HELLO) == "hello"


@pytest.mark.parametrize(
    ("given", "find", "said"),
    [
        pytest.param(
            mapping(), known(),
            'failed to get object shop/hello: services.serving.knative.dev "hello" not found',
            id="no service",
        ),
        pytest.param(
            mapping(api_version="v1"), known(),
            'failed to get object shop/hello: services "hello" not found', id="no v1 service",
        ),
        pytest.param(
            mapping(), known(hello=None),
            "address not set for Kind = Service, Namespace = shop, Name = hello, "
            "APIVersion = serving.knative.dev/v1, Group = , Address = ",
            id="not ready yet",
        ),
        pytest.param(
            mapping(), known(hello="http://hello.example.com"),
            'resolved URI "http://hello.example.com" must be of the form '
            "{name}.{namespace}.svc.cluster.local",
            id="foreign address",
        ),
        pytest.param(
            mapping(), known(hello="http://hello.other.svc.cluster.local"),
            'resolved URI "http://hello.other.svc.cluster.local" must be in same namespace as '
            "DomainMapping",
            id="other namespace",
        ),
        pytest.param(
            mapping("Deployment", "apps/v1"), HELLO,
            "failed to get lister for Deployment.v1.apps: expected a Service or a Route of "
            "serving.knative.dev, or a Service of v1",
            id="no address at all",
        ),
    ],
)  # fmt: skip
def test_what_it_cannot_lead_to_is_said(given, find, said):
    with pytest.raises(UnresolvedError) as error:
        resolve(given, find)
    assert str(error.value) == said
