import pytest

from hearth.capacity.core.affinity import (
    Placed,
    Present,
    node_preference,
    pod_preference,
    refused_by_pods,
    suits_node,
)
from tests.unit.capacity.core.world import node, pod

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
GIVEN = node("a", labels={"zone": "eu", "cores": "8"})


def term(key, operator, *values, field="matchExpressions"):
    return {field: [{"key": key, "operator": operator, "values": list(values)}]}


def needs(*terms):
    return pod(affinity={"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": list(terms)}}})


@pytest.mark.parametrize(
    ("wanted", "suits"),
    [
        pytest.param(pod(), True, id="anything"),
        pytest.param(pod(nodeSelector={"zone": "eu"}), True, id="selector"),
        pytest.param(pod(nodeSelector={"zone": "us"}), False, id="another-selector"),
        pytest.param(needs(term("zone", "In", "us", "eu")), True, id="in"),
        pytest.param(needs(term("zone", "NotIn", "eu")), False, id="not-in"),
        pytest.param(needs(term("gpu", "Exists")), False, id="exists"),
        pytest.param(needs(term("gpu", "DoesNotExist")), True, id="does-not-exist"),
        pytest.param(needs(term("cores", "Gt", "4")), True, id="greater"),
        pytest.param(needs(term("cores", "Lt", "4")), False, id="less"),
        pytest.param(needs(term("gpu", "Exists"), term("zone", "Exists")), True, id="either"),
        pytest.param(needs({**term("zone", "Exists"),
                            **term("metadata.name", "In", "b", field="matchFields")}), False,
                     id="and-a-field"),
        pytest.param(needs(term("metadata.name", "In", "a", field="matchFields")), True,
                     id="a-field"),
        pytest.param(needs({}), False, id="an-empty-term"),
    ],
)  # fmt: skip
def test_nodes_are_chosen_by_their_labels_and_names(wanted, suits):
    assert suits_node(wanted, GIVEN) is suits


def test_preferred_nodes_are_weighed():
    liked = [
        {"weight": 5, "preference": term("zone", "In", "eu")},
        {"weight": 3, "preference": term("cores", "Gt", "4")},
        {"weight": 50, "preference": term("gpu", "Exists")},
    ]
    assert node_preference(pod(affinity={"nodeAffinity": {PREFERRED: liked}}), GIVEN) == 8


def near(app, topology="zone", **more):
    return {"topologyKey": topology, "labelSelector": {"matchLabels": {"app": app}}, **more}


def wants(kind, *terms, labels=None):
    return pod(labels=labels, affinity={kind: {REQUIRED: list(terms)}})


def present(*pods, zone="eu"):
    spaces = {"default": {}, "other": {"team": "red"}}
    return Present([Placed(each, {"zone": zone}) for each in pods], spaces)


FRIEND = pod(labels={"app": "db"})
ATTRACTED = "node(s) didn't match pod affinity rules"
REPELLED = "node(s) didn't match pod anti-affinity rules"


@pytest.mark.parametrize(
    ("wanted", "there", "why"),
    [
        pytest.param(wants("podAffinity", near("db")), present(FRIEND), "", id="together"),
        pytest.param(wants("podAffinity", near("db")), present(FRIEND, zone="us"), ATTRACTED,
                     id="too-far"),
        pytest.param(wants("podAffinity", near("db")), present(), ATTRACTED, id="nobody-there"),
        pytest.param(wants("podAffinity", near("db"), labels={"app": "db"}), present(), "",
                     id="the-first-of-its-kind"),
        pytest.param(wants("podAffinity", near("db", topology="rack"), labels={"app": "db"}),
                     present(), ATTRACTED, id="no-such-topology"),
        pytest.param(wants("podAntiAffinity", near("db")), present(FRIEND), REPELLED, id="apart"),
        pytest.param(wants("podAntiAffinity", near("db")), present(FRIEND, zone="us"), "",
                     id="far-enough"),
        pytest.param(wants("podAntiAffinity", near("db")),
                     present(pod(labels={"app": "db"}, namespace="other")), "",
                     id="another-namespace"),
        pytest.param(wants("podAntiAffinity", near("db", namespaces=["other"])),
                     present(pod(labels={"app": "db"}, namespace="other")), REPELLED,
                     id="a-named-namespace"),
        pytest.param(wants("podAntiAffinity",
                           near("db", namespaceSelector={"matchLabels": {"team": "red"}})),
                     present(pod(labels={"app": "db"}, namespace="other")), REPELLED,
                     id="a-selected-namespace"),
        pytest.param(wants("podAntiAffinity", {"topologyKey": "zone"}), present(FRIEND), "",
                     id="without-a-selector"),
        pytest.param(pod(labels={"app": "web"}), present(wants("podAntiAffinity", near("web"))),
                     "node(s) didn't satisfy existing pods anti-affinity rules",
                     id="those-there-do-not-want-it"),
    ],
)  # fmt: skip
def test_pods_attract_and_repel(wanted, there, why):
    assert refused_by_pods(wanted, GIVEN, there) == why


def test_preferred_neighbours_are_weighed():
    affinity = {
        "podAffinity": {PREFERRED: [{"weight": 5, "podAffinityTerm": near("db")}]},
        "podAntiAffinity": {PREFERRED: [{"weight": 2, "podAffinityTerm": near("noisy")}]},
    }
    there = present(FRIEND, FRIEND, pod(labels={"app": "noisy"}))
    assert pod_preference(pod(affinity=affinity), GIVEN, there) == 8
