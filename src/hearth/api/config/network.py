"""``config-network``: how hosts are named, and where TLS is spoken.

Source: knative.dev/networking pkg/config/config.go. Keys that concern a service mesh or the choice
of another ingress have no meaning here and are let pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hearth.api.config.templates import Template, parse_template
from hearth.api.names import OWN_CERTIFICATE_CLASS

_TEXTS = frozenset({"Name", "Namespace", "Domain"})
_MAPS = frozenset({"Annotations", "Labels"})


def _domain_template(text: str) -> Template:
    return parse_template(text, _TEXTS, _MAPS)


def _tag_template(text: str) -> Template:
    return parse_template(text, frozenset({"Name", "Tag"}), frozenset())


DEFAULT_DOMAIN_TEMPLATE = _domain_template("{{.Name}}.{{.Namespace}}.{{.Domain}}")
DEFAULT_TAG_TEMPLATE = _tag_template("{{.Tag}}-{{.Name}}")


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """What ``config-network`` says; the defaults are Knative's."""

    domain_template: Template = DEFAULT_DOMAIN_TEMPLATE
    tag_template: Template = DEFAULT_TAG_TEMPLATE
    external_domain_tls: bool = False
    cluster_local_domain_tls: bool = False
    system_internal_tls: bool = False
    certificate_class: str = OWN_CERTIFICATE_CLASS  #: who issues certificates
    http_redirected: bool = False  #: ``http-protocol: Redirected``, where there is a certificate
    autocreate_domain_claims: bool = False
    external_scheme: str = "http"
    rollout_duration_s: int = 0


@dataclass(frozen=True, slots=True)
class _Data:
    """A config map's data under newer and older names of the keys."""

    data: Mapping[str, str] = field(default_factory=dict)

    def text(self, *names: str, default: str = "") -> str:
        """The value under the first name that is there."""
        return next((self.data[name] for name in names if name in self.data), default)

    def flag(self, *names: str) -> bool:
        """``true`` or ``false`` as Go reads them; False when absent."""
        text = self.text(*names, default="false")
        if text in ("1", "t", "T", "true", "TRUE", "True"):
            return True
        if text in ("0", "f", "F", "false", "FALSE", "False"):
            return False
        raise ValueError(f"{names[0]}: found {text!r}, expected true or false")

    def enabled(self, *names: str) -> bool:
        """``Enabled`` or ``Disabled``; False when absent."""
        text = self.text(*names).lower()
        if text in ("", "disabled", "enabled"):
            return text == "enabled"
        raise ValueError(f"{names[0]}: found {self.text(*names)!r}, expected Enabled or Disabled")


def read_network(data: Mapping[str, str]) -> NetworkConfig:
    """The data of ``config-network``.

    Raises:
        ValueError: a key has a value that is not understood or cannot be had.
    """
    said = _Data(data)
    return NetworkConfig(
        domain_template=_checked(said, "domain-template", "domainTemplate"),
        tag_template=_tags(said),
        # As in Knative whatever is not ``enabled`` is not.
        external_domain_tls=said.text("external-domain-tls", "auto-tls", "autoTLS").lower()
        == "enabled",
        cluster_local_domain_tls=said.enabled("cluster-local-domain-tls"),
        system_internal_tls=said.enabled("system-internal-tls")
        or (not said.text("system-internal-tls") and said.flag("internal-encryption")),
        certificate_class=said.text(
            "certificate-class", "certificate.class", default=OWN_CERTIFICATE_CLASS
        ),
        http_redirected=_http_protocol(said) == "redirected",
        autocreate_domain_claims=said.flag(
            "autocreate-cluster-domain-claims", "autocreateClusterDomainClaims"
        ),
        external_scheme=_scheme(said),
        rollout_duration_s=_rollout(said),
    )


def _checked(said: _Data, *names: str) -> Template:
    text = said.text(*names, default=DEFAULT_DOMAIN_TEMPLATE.text)
    try:
        template = _domain_template(text)
    except ValueError as error:
        raise ValueError(f"domain-template: {error}") from error
    made = template.render({"Name": "foo", "Namespace": "bar", "Domain": "baz.com"})
    if not made or "/" in made:
        raise ValueError(f"domain-template: {text!r} makes {made!r}, expected a host name")
    return template


def _tags(said: _Data) -> Template:
    text = said.text("tag-template", "tagTemplate", default=DEFAULT_TAG_TEMPLATE.text)
    try:
        return _tag_template(text)
    except ValueError as error:
        raise ValueError(f"tag-template: {error}") from error


def _http_protocol(said: _Data) -> str:
    text = said.text("http-protocol", "httpProtocol").lower()
    if text not in ("", "enabled", "redirected", "disabled"):  # the last is Knative's past
        raise ValueError(f"http-protocol: found {text!r}, expected Enabled or Redirected")
    return text or "enabled"


def _scheme(said: _Data) -> str:
    scheme = said.text("default-external-scheme", "defaultExternalScheme", default="http").lower()
    if scheme not in ("http", "https"):
        raise ValueError(f"default-external-scheme: found {scheme!r}, expected http or https")
    return scheme


def _rollout(said: _Data) -> int:
    text = said.text("rollout-duration", "rolloutDuration", default="0")
    if not text.isdigit():
        raise ValueError(f"rollout-duration: found {text!r}, expected seconds, 0 or more")
    return int(text)
