"""What a manifest must hold, in Knative's words.

Source: knative.dev/serving pkg/apis/serving/v1/*_validation.go, pkg/apis/serving/k8s_validation.go
and metadata_validation.go.
"""

from __future__ import annotations

import re
from typing import Any

from hearth.api.config.serving import ServingConfig
from hearth.api.errors import FieldError
from hearth.api.meta import Wire, annotations_of, metadata, name_of, spec_of
from hearth.api.names import (
    CODE_ANNOTATION,
    CODE_DIGEST_ANNOTATION,
    RUNTIME_IMAGE_PREFIX,
)
from hearth.api.pod_rules import validate_pod
from hearth.api.serving.annotations import autoscaling_faults
from hearth.api.serving.faults import Faults, disallowed, missing, out_of_bounds, wrong
from hearth.api.serving.placed import (
    misplaced_faults,
    networking_faults,
    rollout_faults,
)
from hearth.api.serving.pod_validation import pod_faults
from hearth.api.serving.revision_annotations import revision_annotation_faults
from hearth.api.serving.schedule import schedule_faults

_NO_CONFIG = ServingConfig()
_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}$")


def validate_name(wire: Wire) -> Faults:
    """Names become host names: DNS-1035 labels of at most 63 characters."""
    name = name_of(wire)
    if name and not _DNS_1035.match(name):
        why = (
            "not a DNS 1035 label: must start with a letter, and have only lower case letters, "
            "digits and '-', at most 63"
        )
        yield wrong("metadata.name", name, why)


def validate_service(
    wire: Wire, old: Wire | None, config: ServingConfig = _NO_CONFIG
) -> list[FieldError]:
    """A Service."""
    return [
        *validate_name(wire),
        *misplaced_faults(wire, old),
        *rollout_faults(wire),
        *same_creator(wire, old),
        *_template(spec_of(wire).get("template"), name_of(wire), "spec.template", config),
        *_traffic(spec_of(wire).get("traffic"), "spec.traffic", of_service=True),
        *_byo_name_unchanged(wire, old),
    ]


def validate_configuration(
    wire: Wire, old: Wire | None, config: ServingConfig = _NO_CONFIG
) -> list[FieldError]:
    """A Configuration."""
    return [
        *validate_name(wire),
        *misplaced_faults(wire, old),
        *same_creator(wire, old),
        *_template(spec_of(wire).get("template"), name_of(wire), "spec.template", config),
        *_byo_name_unchanged(wire, old),
    ]


def validate_route(wire: Wire, old: Wire | None) -> list[FieldError]:
    """A Route."""
    return [
        *validate_name(wire),
        *misplaced_faults(wire, old),
        *rollout_faults(wire),
        *same_creator(wire, old),
        *_traffic(spec_of(wire).get("traffic"), "spec.traffic", of_service=False),
    ]


def validate_revision(
    wire: Wire, old: Wire | None, config: ServingConfig = _NO_CONFIG
) -> list[FieldError]:
    """A Revision; its spec never changes, and is held against the rules of its day."""
    annotations = annotations_of(wire)
    faults = autoscaling_faults(annotations, "metadata.annotations", config.autoscaler)
    faults += schedule_faults(annotations, "metadata.annotations")
    if old is None:
        faults += _revision_spec(spec_of(wire), annotations, "spec", config)
    elif spec_of(old) != spec_of(wire):
        faults.append(FieldError("spec", "Immutable fields changed (-old +new): spec"))
    return faults


def same_creator(wire: Wire, old: Wire | None) -> Faults:
    """Who created an object cannot be changed later."""
    name = "serving.knative.dev/creator"
    if old is not None and name in annotations_of(old):
        before, now = annotations_of(old)[name], annotations_of(wire).get(name)
        if before != now:
            yield FieldError(
                f"metadata.annotations.{name}",
                "annotation value is immutable: metadata.annotations",
            )


def _template(template: Any, parent: str, path: str, config: ServingConfig) -> Faults:
    if not isinstance(template, dict) or not template.get("spec"):
        yield missing(f"{path}.spec")
        return
    name, prefix = name_of(template), str(metadata(template).get("generateName") or "")
    if prefix and not _DNS_1035.match(prefix.rstrip("-")):
        said = f"not a DNS 1035 label prefix: {prefix}"
        yield wrong(f"{path}.metadata.generateName", said)
    if name and not _DNS_1035.match(name):
        yield wrong(f"{path}.metadata.name", f"not a DNS 1035 label: {name}")
    elif name and not name.startswith(f"{parent}-"):
        yield wrong(f"{path}.metadata.name", f'"{name}" must have prefix "{parent}-"')
    annotations = annotations_of(template)
    at = f"{path}.metadata.annotations"
    yield from autoscaling_faults(annotations, at, config.autoscaler)
    yield from schedule_faults(annotations, at)
    yield from revision_annotation_faults(annotations, at)
    yield from networking_faults(annotations, at)
    yield from _revision_spec(template["spec"], annotations, f"{path}.spec", config)


def _byo_name_unchanged(wire: Wire, old: Wire | None) -> Faults:
    """A template with a name of its own must get another one with every change."""
    if old is None:
        return
    new_template, old_template = spec_of(wire).get("template"), spec_of(old).get("template")
    if not isinstance(new_template, dict) or not isinstance(old_template, dict):
        return
    name = name_of(new_template)
    if name and name == name_of(old_template) and new_template != old_template:
        path = "spec.template"
        said = f"Saw the following changes without a name change (-old +new): {path}.metadata.name"
        yield FieldError(f"{path}.metadata.name", said)


def _revision_spec(spec: Wire, annotations: Any, path: str, config: ServingConfig) -> Faults:
    defaults = config.defaults
    concurrency, most = spec.get("containerConcurrency") or 0, defaults.concurrency_max
    least = 0 if defaults.allow_concurrency_zero else 1
    if not least <= concurrency <= most:
        yield out_of_bounds(f"{path}.containerConcurrency", concurrency, least, most)
    timeout, most = spec.get("timeoutSeconds") or 0, defaults.timeout_max_s
    if not 0 <= timeout <= most:
        yield out_of_bounds(f"{path}.timeoutSeconds", timeout, 0, most)
    for field in ("responseStartTimeoutSeconds", "idleTimeoutSeconds"):
        if (value := spec.get(field) or 0) < 0:  # one that is longer ends nothing
            yield out_of_bounds(f"{path}.{field}", value, 0, most)
    yield from pod_faults(spec, path, config.features)
    yield from _as_pod(spec, path)
    images = [str(c.get("image") or "") for c in spec.get("containers") or ()]
    if any(image.startswith(RUNTIME_IMAGE_PREFIX) for image in images):
        above = path.removesuffix(".spec") if path != "spec" else ""
        yield from _code(annotations, f"{above}.metadata.annotations".lstrip("."))


def _as_pod(spec: Wire, path: str) -> Faults:
    """What Kubernetes would say of the pod, in the words of Knative's webhook that tries it."""
    containers = spec.get("containers")
    for fault in validate_pod({"spec": spec}, None) if containers else ():
        if fault.reason != "FieldValueRequired" and "Duplicate" not in fault.message:  # said above
            at = f"{path.removesuffix('spec')}{fault.field}"
            said = f"validation callback failed: dry run failed with {fault.field}: {fault.message}"
            yield FieldError(at, said)


def _code(annotations: Any, path: str) -> Faults:
    url, digest = annotations.get(CODE_ANNOTATION), annotations.get(CODE_DIGEST_ANNOTATION)
    if not url:
        yield missing(f"{path}[{CODE_ANNOTATION}]")
        return
    if not re.match(r"(hearth|https?|file|data):", url):
        why = "expected a URL of scheme hearth, https, http, file or data"
        yield wrong(f"{path}[{CODE_ANNOTATION}]", url[:80], why)
    if digest and not _DIGEST.match(digest):
        why = "expected sha256: and 64 hexadecimal digits"
        yield wrong(f"{path}[{CODE_DIGEST_ANNOTATION}]", digest, why)
    if not digest and re.match(r"(hearth|https?):", url):
        yield missing(f"{path}[{CODE_DIGEST_ANNOTATION}]")


def _traffic(traffic: Any, path: str, *, of_service: bool) -> Faults:
    total, tags = 0, set()
    if not of_service and not traffic:
        yield FieldError(path, f"expected exactly one, got neither: {path}")
        return
    for number, target in enumerate(traffic or ()):
        at = f"{path}[{number}]"
        yield from _target(target, at, of_service=of_service)
        percent = target.get("percent") or 0
        if not 0 <= percent <= 100:
            yield out_of_bounds(f"{at}.percent", percent, 0, 100)
        total += percent
        tag = target.get("tag")
        if tag and not _DNS_1035.match(tag):
            yield wrong(f"{at}.tag", tag, "not a DNS 1035 label")
        if tag and tag in tags:
            yield FieldError(f"{at}.tag", f"Multiple definitions for {tag}: {at}.tag")
        tags.add(tag)
    if total != 100:
        yield FieldError(path, f"Traffic targets sum to {total}, want 100: {path}")


def _target(target: Wire, path: str, *, of_service: bool) -> Faults:
    revision, configuration = target.get("revisionName"), target.get("configurationName")
    latest = target.get("latestRevision")
    if of_service and configuration:
        yield disallowed(f"{path}.configurationName")
    elif revision and configuration:
        names = f"{path}.configurationName, {path}.revisionName"
        yield FieldError(path, f"expected exactly one, got both: {names}")
    elif not of_service and not revision and not configuration:
        names = f"{path}.configurationName, {path}.revisionName"
        yield FieldError(path, f"expected exactly one, got neither: {names}")
    if revision and latest:
        why = f"may not set revisionName {revision!r} when latestRevision is true"
        yield wrong(f"{path}.latestRevision", "true", why)
    if not revision and latest is False:
        why = "latestRevision must be true when revisionName is empty"
        yield wrong(f"{path}.latestRevision", "false", why)
    if target.get("url"):
        yield disallowed(f"{path}.url")
