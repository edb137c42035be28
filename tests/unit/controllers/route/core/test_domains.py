import pytest

from hearth.controllers.route.core.domains import Domain


def route(**labels):
    named = {f"networking.knative.dev/{name}": value for name, value in labels.items()}
    return {"metadata": {"name": "hello", "namespace": "shop", "labels": named}}


@pytest.mark.parametrize(
    ("domain", "given", "tag", "want"),
    [
        pytest.param(Domain("localhost", 80), route(), "", "http://hello.shop.localhost", id="80"),
        pytest.param(
            Domain("localhost", 8080), route(), "", "http://hello.shop.localhost:8080", id="port"
        ),
        pytest.param(
            Domain("a.b", 8080), route(), "blue", "http://blue-hello.shop.a.b:8080", id="tag"
        ),
        pytest.param(
            Domain("a.b", 8080), route(visibility="cluster-local"), "",
            "http://hello.shop.svc.cluster.local", id="cluster-local",
        ),
    ],
)  # fmt: skip
def test_urls(domain, given, tag, want):
    assert domain.url(given, tag) == want


def test_from_inside_there_is_one_address():
    assert Domain("localhost", 80).inside_hosts(route(), "v1") == (
        "v1-hello.shop.svc.cluster.local",
        "v1-hello.shop.svc",
        "v1-hello.shop",
    )
