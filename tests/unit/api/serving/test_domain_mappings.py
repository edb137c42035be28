import pytest

from hearth.api.serving.domain_mappings import (
    default_domain_mapping,
    host_faults,
    validate_domain_mapping,
)

REF = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "hello"}


def mapping(name="shop.example.com", ref=REF, **spec):
    return {"metadata": {"name": name, "namespace": "shop"}, "spec": {"ref": ref, **spec}}


def said(wire, old=None):
    return [fault.message for fault in validate_domain_mapping(wire, old)]


def test_the_reference_is_to_the_own_namespace():
    ref = default_domain_mapping(mapping())["spec"]["ref"]
    assert ref == {**REF, "namespace": "shop"}
    assert said(default_domain_mapping(mapping())) == []


@pytest.mark.parametrize(
    ("wire", "want"),
    [
        pytest.param(
            mapping("shop"), 'invalid name "shop": name: Invalid value: "shop": should be a domain '
            "with at least two segments separated by dots: metadata.name", id="one segment",
        ),
        pytest.param(
            mapping("hello.default.svc.cluster.local"),
            'invalid name "hello.default.svc.cluster.local": must not be a subdomain of cluster '
            'local domain "cluster.local": metadata.name', id="cluster local",
        ),
        pytest.param(
            mapping(ref={**REF, "name": ""}), "missing field(s): spec.ref.name", id="no name"
        ),
        pytest.param(
            mapping(ref={**REF, "group": "x"}), "must not set the field(s): spec.ref.group",
            id="group",
        ),
        pytest.param(
            mapping(ref={**REF, "namespace": "other"}),
            'mismatched namespaces: spec.ref.namespace\nparent namespace: "shop" does not match '
            'ref: "other"', id="other namespace",
        ),
        pytest.param(
            mapping(tls={}), "missing field(s): spec.tls.secretName", id="no secret",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_knatives_words(wire, want):
    assert said(wire) == [want]


def test_its_creator_does_not_change():
    old = mapping()
    old["metadata"]["annotations"] = {"serving.knative.dev/creator": "ann"}
    assert "immutable" in said(mapping(), old)[0]


@pytest.mark.parametrize("host", ["a.b", "xn--bcher-kva.example", "1.2.3", f"{'a' * 63}.b"])
def test_hosts(host):
    assert host_faults(host) == []


@pytest.mark.parametrize("host", ["", "a", "A.b", "a_b.c", "a..b", ".a.b", f"{'a' * 64}.b",
                                  "a." * 127 + "b"])  # fmt: skip
def test_what_is_no_host(host):
    assert host_faults(host)
