"""A pod's ``/etc/hosts``."""

from __future__ import annotations

from hearth.node.core.etc import hostname, hosts_text


def test_a_pod_knows_its_own_name_and_those_it_was_given():
    aliases = [{"ip": "10.1.2.3", "hostnames": ["db", "db.example.com"]}]
    pod = {"metadata": {"name": "one"}, "spec": {"hostAliases": aliases}}
    *_, own, given = hosts_text(pod, "10.0.0.7").splitlines()
    assert own == "10.0.0.7\tone"
    assert given == "10.1.2.3\tdb\tdb.example.com"


def test_a_host_name_is_given_or_the_pods_and_has_63_characters():
    assert hostname({"metadata": {"name": "one"}, "spec": {"hostname": "two"}}) == "two"
    assert hostname({"metadata": {"name": "a" * 62 + "-b"}, "spec": {}}) == "a" * 62
