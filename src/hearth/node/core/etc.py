"""What a pod finds in its ``/etc``: pure.

Source: Kubernetes, "Adding entries to Pod /etc/hosts with HostAliases".
"""

from __future__ import annotations

from hearth.api.meta import Wire, name_of, spec_of

_HOSTNAME_MAX = 63


def hostname(pod: Wire) -> str:
    """What the pod calls itself."""
    wanted = spec_of(pod).get("hostname") or name_of(pod)
    return str(wanted)[:_HOSTNAME_MAX].rstrip("-.")


def hosts_text(pod: Wire, ip: str) -> str:
    """The text of the pod's ``/etc/hosts``."""
    lines = [
        "# Kubernetes-managed hosts file.",
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        f"{ip}\t{hostname(pod)}",
    ]
    for alias in spec_of(pod).get("hostAliases") or ():
        lines.append("\t".join([str(alias.get("ip")), *(alias.get("hostnames") or ())]))
    return "\n".join(lines) + "\n"
