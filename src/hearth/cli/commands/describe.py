"""``hearth describe``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import click

from hearth.api.kinds import CORE_EVENT, POD, POOLED_REPLICA_SET, REVISION, SERVICE
from hearth.api.meta import (
    Wire,
    annotations_of,
    condition_of,
    labels_of,
    name_of,
    namespace_of,
    spec_of,
    status_of,
)
from hearth.api.names import (
    CLAIMED_FROM_ANNOTATION,
    CODE_ANNOTATION,
    CODE_DIGEST_ANNOTATION,
    CONFIGURATION_GENERATION_LABEL,
    LAYER_DIGEST_ANNOTATION,
    SCALE_REASON_ANNOTATION,
    SERVICE_LABEL,
)
from hearth.api.observability import cold_starts_of
from hearth.api.pods import user_container
from hearth.api.serving.schedule import SCHEDULE_ANNOTATION
from hearth.cli.command import common_options, examples
from hearth.cli.completing import service_names
from hearth.cli.core.cold_starts import summary
from hearth.cli.core.tables import first_line, format_fields, format_table
from hearth.cli.output import age, print_object
from hearth.cli.session import Session, Target, run

_EVENTS_SHOWN = 10
_URL_SHOWN = 80  #: a ``data:`` URL holds the whole app


@dataclass(frozen=True, slots=True)
class _Found:
    service: Wire
    revisions: Sequence[Wire]
    pods: Sequence[Wire]
    events: Sequence[Wire]
    sets: Sequence[Wire]


@click.command(epilog=examples("hearth describe hello", "hearth describe hello -o yaml"))
@click.argument("name", shell_complete=service_names)
@common_options
def describe(target: Target, name: str) -> None:
    """Show a service with its revisions and pods."""
    found = run(target, lambda session: _find(session, name))
    print_object(found.service, target.output, lambda _: "\n\n".join(_sections(found)))


async def _find(session: Session, name: str) -> _Found:
    client, namespace = session.client, session.namespace
    service = await client.get(SERVICE, namespace, name)
    own = f"{SERVICE_LABEL}={name}"
    revisions = (await client.list(REVISION, namespace, label_selector=own)).items
    pods = (await client.list(POD, namespace, label_selector=own)).items
    about = {name, *map(name_of, revisions), *map(name_of, pods)}
    events = (await client.list(CORE_EVENT, namespace)).items
    ours = [e for e in events if (e.get("involvedObject") or {}).get("name") in about]
    sets = (await client.list(POOLED_REPLICA_SET, namespace, label_selector=own)).items
    return _Found(service, sorted(revisions, key=_number, reverse=True), pods, ours, sets)


def _sections(found: _Found) -> Iterator[str]:
    yield format_fields(_fields(found.service))
    conditions = status_of(found.service).get("conditions") or ()
    yield format_table(
        ("CONDITION", "STATUS", "REASON", "MESSAGE"),
        ([c.get("type"), c.get("status"), c.get("reason"), first_line(c)] for c in conditions),
    )
    headings = ("REVISION", "TRAFFIC", "TAGS", "READY", "PODS", "AGE", "REASON")
    yield format_table(headings, (_revision(found, r) for r in found.revisions))
    if scales := list(_scales(found)):
        yield format_table(("REVISION", "SCALE", "WHY"), scales)
    if starts := list(_cold_starts(found)):
        yield format_table(("REVISION", "COLD STARTS"), starts)
    if found.pods:
        yield format_table(
            ("POD", "REVISION", "PHASE", "FROM", "AGE"), (_pod(p) for p in found.pods)
        )
    if found.events:
        latest = sorted(found.events, key=lambda e: str(e.get("lastTimestamp")))[-_EVENTS_SHOWN:]
        yield format_table(("EVENT", "OBJECT", "REASON", "MESSAGE"), (_event(e) for e in latest))


def _fields(service: Wire) -> Iterator[tuple[str, object]]:
    template = spec_of(service).get("template") or {}
    said, spec = annotations_of(template), template.get("spec") or {}
    yield "Name", name_of(service)
    yield "Namespace", namespace_of(service)
    yield "URL", status_of(service).get("url")
    yield "Age", age(service)
    yield "Image", user_container(spec).get("image")
    yield "Code", said.get(CODE_DIGEST_ANNOTATION) or said.get(CODE_ANNOTATION, "")[:_URL_SHOWN]
    if LAYER_DIGEST_ANNOTATION in said:
        yield "Layer", said[LAYER_DIGEST_ANNOTATION]
    yield "Concurrency", spec.get("containerConcurrency") or "no limit"
    yield "Timeout", f"{spec.get('timeoutSeconds', 300)} s"
    if env := user_container(spec).get("env"):
        yield "Env", "\n".join(f"{v.get('name')}={v.get('value', '(reference)')}" for v in env)


def _revision(found: _Found, revision: Wire) -> list[object]:
    name, ready = name_of(revision), condition_of(revision, "Ready") or {}
    targets = [
        t for t in status_of(found.service).get("traffic") or () if t.get("revisionName") == name
    ]
    percent = sum(int(target.get("percent") or 0) for target in targets)
    status = status_of(revision)
    pods = f"{status.get('actualReplicas', 0)}/{status.get('desiredReplicas', 0)}"
    tags = ",".join(str(target["tag"]) for target in targets if target.get("tag"))
    shown = f"{percent}%" if targets else "-"
    return [name, shown, tags, ready.get("status", "Unknown"), pods, age(revision),
            ready.get("reason")]  # fmt: skip


def _scales(found: _Found) -> Iterator[list[object]]:
    """What the autoscaler set, and why; and what is scheduled."""
    for revision in found.revisions:
        name = name_of(revision)
        for each in found.sets:
            if name_of(each) == name and (why := annotations_of(each).get(SCALE_REASON_ANNOTATION)):
                yield [name, spec_of(each).get("replicas", 0), why]
        if scheduled := annotations_of(revision).get(SCHEDULE_ANNOTATION):
            yield [name, "", f"scheduled: {scheduled}"]


def _cold_starts(found: _Found) -> Iterator[list[object]]:
    """How long they took, newest revision first."""
    by_name = {name_of(each): each for each in found.sets}
    for name in map(name_of, found.revisions):
        if said := summary(cold_starts_of(by_name.get(name, {}))):
            yield [name, said]


def _pod(pod: Wire) -> list[object]:
    pool = annotations_of(pod).get(CLAIMED_FROM_ANNOTATION)
    came = f"pool {pool}" if pool else "made for it"
    revision = labels_of(pod).get("serving.knative.dev/revision")
    return [name_of(pod), revision, status_of(pod).get("phase"), came, age(pod)]


def _event(event: Wire) -> list[object]:
    about = event.get("involvedObject") or {}
    where = f"{about.get('kind', '')}/{about.get('name', '')}"
    return [event.get("type"), where, event.get("reason"), first_line(event)]


def _number(revision: Wire) -> int:
    return int(labels_of(revision).get(CONFIGURATION_GENERATION_LABEL) or 0)
