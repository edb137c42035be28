"""What a namespace may have, and what it has: pure.

Source: k8s.io/kubernetes pkg/quota/v1/evaluator/core and plugin/pkg/admission/{resourcequota,
limitranger}; messages are theirs, because they end up in events and conditions.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from decimal import Decimal

from hearth.api.meta import Wire, name_of, spec_of, status_of
from hearth.api.quantities import parse_quantity

Amounts = Mapping[str, Decimal]

_COMPUTE = ("cpu", "memory", "ephemeral-storage")
#: Objects that quotas count by their plain names; all may be counted as ``count/RESOURCE[.GROUP]``.
_PLAIN = frozenset(
    {
        "pods", "services", "secrets", "configmaps", "persistentvolumeclaims", "resourcequotas",
        "replicationcontrollers",
    }
)  # fmt: skip


def usage_of(plural: str, group: str, wire: Wire) -> dict[str, Decimal]:
    """What one object uses of a quota; nothing for a pod that has ended."""
    if plural == "pods" and not group and status_of(wire).get("phase") in ("Succeeded", "Failed"):
        return {}
    used = {f"count/{plural}.{group}" if group else f"count/{plural}": Decimal(1)}
    if group:
        return used
    if plural in _PLAIN:
        used[plural] = Decimal(1)
    if plural == "pods":
        used |= _of_pod(spec_of(wire))
    if plural == "persistentvolumeclaims":
        asked = ((spec_of(wire).get("resources") or {}).get("requests") or {}).get("storage", "0")
        used["requests.storage"] = parse_quantity(str(asked))
    return used


def _of_pod(spec: Wire) -> dict[str, Decimal]:
    used: dict[str, Decimal] = {}
    for name in _COMPUTE:
        for field in ("requests", "limits"):
            total = Decimal(0)
            for container in spec.get("containers") or ():
                resources = container.get("resources") or {}
                amount = (resources.get(field) or {}).get(name)
                if amount is None and field == "requests":  # a limit alone is the request too
                    amount = (resources.get("limits") or {}).get(name)
                total += parse_quantity(str(amount or "0"))
            used[f"{field}.{name}"] = total
        used[name] = used[f"requests.{name}"]
    return used


def total(all_of: Iterable[Amounts]) -> dict[str, Decimal]:
    """The sum."""
    found: dict[str, Decimal] = {}
    for one in all_of:
        for name, amount in one.items():
            found[name] = found.get(name, Decimal(0)) + amount
    return found


def excess(quota: Wire, wanted: Amounts, used: Amounts, spec: Wire) -> str:
    """Why the quota does not allow ``wanted`` beside ``used``; empty when it does.

    Args:
        quota: the ResourceQuota.
        wanted: of the new object.
        used: of those that are there.
        spec: of the new object, when it is a pod; else empty.
    """
    hard = {name: str(amount) for name, amount in (spec_of(quota).get("hard") or {}).items()}
    if missing := _unsaid(hard, spec):
        return f"failed quota: {name_of(quota)}: must specify {missing}"
    nothing = Decimal(0)
    over = [
        name
        for name, most in sorted(hard.items())
        if wanted.get(name) and used.get(name, nothing) + wanted[name] > parse_quantity(most)
    ]
    if not over:
        return ""
    said = [
        ",".join(f"{name}={amounts}" for name, amounts in each)
        for each in (
            [(name, written(name, wanted[name])) for name in over],
            [(name, written(name, used.get(name, Decimal(0)))) for name in over],
            [(name, hard[name]) for name in over],
        )
    ]
    return (
        f"exceeded quota: {name_of(quota)}, requested: {said[0]}, used: {said[1]}, "
        f"limited: {said[2]}"
    )


def _unsaid(hard: Mapping[str, str], spec: Wire) -> str:
    """What the pod's containers must say, because the quota counts it."""
    found = []
    for name in sorted(hard):
        field, _, resource = name.partition(".") if "." in name else ("requests", "", name)
        if resource not in _COMPUTE or field not in ("requests", "limits"):
            continue
        silent = [
            str(container.get("name"))
            for container in spec.get("containers") or ()
            if not (
                ((container.get("resources") or {}).get(field) or {}).get(resource)
                or (field == "requests"
                    and ((container.get("resources") or {}).get("limits") or {}).get(resource))
            )
        ]  # fmt: skip
        if silent:
            found.append(f"{name} for: {','.join(silent)}")
    return "; ".join(found)


def written(name: str, amount: Decimal) -> str:
    """The amount as a quantity: processors in thousandths, bytes in the largest whole unit."""
    if name.endswith("cpu") and amount != amount.to_integral_value():
        return f"{(amount * 1000).to_integral_value(rounding='ROUND_CEILING')}m"
    number = int(amount.to_integral_value(rounding="ROUND_CEILING"))
    if number and name.endswith(("memory", "storage")):
        for suffix, power in (("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)):
            if number % 2**power == 0:
                return f"{number >> power}{suffix}"
    return str(number)


# Limit ranges


def with_defaults(pod: Wire, ranges: Iterable[Wire]) -> Wire:
    """The pod with the requests and limits that its containers do not say."""
    limits = [limit for each in ranges for limit in _of_kind(each, "Container")]
    if not limits:
        return pod
    pod = copy.deepcopy(pod)
    for container in spec_of(pod).get("containers") or ():
        resources = container.setdefault("resources", {})
        for limit in limits:
            given, asked = _defaults_of(limit)
            said = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
            if own := {**given, **(resources.get("limits") or {})}:
                resources["limits"] = own
            if wanted := {**asked, **said}:  # a limit alone is the request too
                resources["requests"] = wanted
    return pod


def _defaults_of(limit: Wire) -> tuple[Wire, Wire]:
    """Limits and requests of a container that says nothing (SetDefaults_LimitRangeItem)."""
    given = {**(limit.get("max") or {}), **(limit.get("default") or {})}
    asked = {**(limit.get("min") or {}), **given, **(limit.get("defaultRequest") or {})}
    return given, asked


def beyond(pod: Wire, ranges: Iterable[Wire]) -> str:
    """What the pod asks for that a range does not allow; empty when nothing."""
    faults = []
    for each in ranges:
        for limit in _of_kind(each, "Container"):
            for container in spec_of(pod).get("containers") or ():
                faults += _faults(limit, container.get("resources") or {}, "Container")
        for limit in _of_kind(each, "Pod"):
            of_pod = _of_pod(spec_of(pod))
            sums = {
                field: {name: str(of_pod[f"{field}.{name}"]) for name in _COMPUTE
                        if of_pod[f"{field}.{name}"]}
                for field in ("requests", "limits")
            }  # fmt: skip
            faults += _faults(limit, sums, "Pod")
    return faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]" if faults else ""


def _of_kind(limit_range: Wire, kind: str) -> list[Wire]:
    return [one for one in spec_of(limit_range).get("limits") or () if one.get("type") == kind]


def _faults(limit: Wire, resources: Wire, kind: str) -> list[str]:
    asked, own, found = resources.get("requests") or {}, resources.get("limits") or {}, []
    for name, least in sorted((limit.get("min") or {}).items()):
        for what, amounts in (("request", asked), ("limit", own)):
            said = f"minimum {name} usage per {kind} is {least}"
            if name in amounts and parse_quantity(str(amounts[name])) < parse_quantity(str(least)):
                found.append(f"{said}, but {what} is {amounts[name]}")
        if name not in asked:
            found.append(f"minimum {name} usage per {kind} is {least}.  No request is specified")
    for name, most in sorted((limit.get("max") or {}).items()):
        for what, amounts in (("request", asked), ("limit", own)):
            said = f"maximum {name} usage per {kind} is {most}"
            if name in amounts and parse_quantity(str(amounts[name])) > parse_quantity(str(most)):
                found.append(f"{said}, but {what} is {amounts[name]}")
        if name not in own:
            found.append(f"maximum {name} usage per {kind} is {most}.  No limit is specified")
    return found
