import pytest

from hearth.api.config import NetworkConfig, read_network

VALUES = {
    "Name": "hello",
    "Namespace": "shop",
    "Domain": "example.com",
    "Labels": {"team": "blue"},
    "Annotations": {"sub": "foo"},
}


def test_an_empty_map_says_what_knative_says():
    assert read_network({}) == NetworkConfig()
    assert NetworkConfig().domain_template.render(VALUES) == "hello.shop.example.com"
    assert NetworkConfig().tag_template.render({"Name": "hello", "Tag": "v2"}) == "v2-hello"


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("{{.Name}}.{{.Domain}}", "hello.example.com"),
        ('{{.Name}}-{{.Namespace}}.{{ index .Annotations "sub"}}.{{.Domain}}',
         "hello-shop.foo.example.com"),
        ("{{.Name}}.{{.Labels.team}}.{{.Domain}}", "hello.blue.example.com"),
        ("{{.Name -}} \n .{{- .Domain}}", "hello.example.com"),
        ('{{.Name}}{{index .Labels "absent"}}.x', "hello.x"),
    ],
)  # fmt: skip
def test_templates(text, want):
    assert read_network({"domain-template": text}).domain_template.render(VALUES) == want


@pytest.mark.parametrize(
    ("key", "value", "field"),
    [
        ("external-domain-tls", "Enabled", "external_domain_tls"),
        ("auto-tls", "enabled", "external_domain_tls"),
        ("cluster-local-domain-tls", "Enabled", "cluster_local_domain_tls"),
        ("system-internal-tls", "enabled", "system_internal_tls"),
        ("internal-encryption", "true", "system_internal_tls"),
        ("http-protocol", "Redirected", "http_redirected"),
        ("autocreate-cluster-domain-claims", "true", "autocreate_domain_claims"),
    ],
)
def test_switches(key, value, field):
    assert getattr(read_network({key: value}), field) is True
    assert (
        getattr(read_network({key: "disabled" if "d" in value.lower() else "false"}), field)
        is False
    )


def test_the_newer_of_two_names_wins():
    both = {"auto-tls": "Enabled", "external-domain-tls": "Disabled"}
    assert not read_network(both).external_domain_tls


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"domain-template": "{{.Nome}}"}, "domain-template: {{.Nome}} is not understood"),
        ({"domain-template": "{{.Name}}.{{.Domain"}, "domain-template:"),
        ({"domain-template": "{{.Name}}/{{.Domain}}"}, "expected a host name"),
        ({"tag-template": "{{.Namespace}}"}, "tag-template:"),
        ({"http-protocol": "Maybe"}, "http-protocol: found 'maybe', expected Enabled"),
        ({"autocreate-cluster-domain-claims": "yes"}, "expected true or false"),
        ({"default-external-scheme": "ftp"}, "expected http or https"),
        ({"rollout-duration": "-1"}, "rollout-duration: found '-1'"),
        ({"system-internal-tls": "on"}, "expected Enabled or Disabled"),
        ({"cluster-local-domain-tls": "on"}, "expected Enabled or Disabled"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(data, said):
    with pytest.raises(ValueError, match=r".") as error:
        read_network(data)
    assert said in str(error.value)
