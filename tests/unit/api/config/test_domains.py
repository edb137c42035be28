import pytest

from hearth.api.config import read_domains

DATA = {
    "_example": "anything: [",
    "example.com": "",
    "example.org": "selector:\n  app: nonprofit\n",
    "a.org": "selector:\n  app: nonprofit\n  team: blue\n",
    "b.org": "selector:\n  team: blue\n",
    "svc.cluster.local": "selector:\n  app: secret\n",
}


@pytest.mark.parametrize(
    ("labels", "want"),
    [
        ({}, "example.com"),
        ({"app": "other"}, "example.com"),
        ({"app": "nonprofit"}, "example.org"),
        ({"app": "nonprofit", "team": "blue"}, "a.org"),
        ({"app": "secret"}, "svc.cluster.local"),
        ({"networking.knative.dev/visibility": "cluster-local"}, "svc.cluster.local"),
    ],
)
def test_the_most_specific_selector_wins(labels, want):
    assert read_domains(DATA).domain_of(labels, "localhost") == want


def test_without_a_domain_for_all_there_is_the_platforms_own():
    only = {"b.org": DATA["b.org"]}
    assert read_domains(only).domain_of({}, "localhost") == "localhost"
    assert read_domains({}).domain_of({"team": "blue"}, "localhost") == "localhost"


@pytest.mark.parametrize("text", ["selector: nonsense", "a: [", "text", "selector:\n  a: 1\n"])
def test_what_is_no_selector_is_refused_by_name(text):
    with pytest.raises(ValueError, match=r"example\.com: found"):
        read_domains({"example.com": text})
