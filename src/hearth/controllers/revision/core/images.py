"""Which images a revision's containers run, by digest.

A tag's digest is asked of its registry once, before there is a pod, and its pods run that digest:
a revision does not change when the tag moves. A tag that stays one, because its registry is not to
be asked or does not answer, means what the first pod got.

Source: knative.dev/serving pkg/reconciler/revision (reconcileDigest).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hearth.api.code import is_runtime
from hearth.api.images import Image
from hearth.api.meta import Wire, name_of, spec_of, status_of

_DIGEST = "@sha256:"
_FIELDS = (("containers", "containerStatuses"), ("initContainers", "initContainerStatuses"))


@dataclass(frozen=True, slots=True)
class Resolving:
    """It is being found out."""


@dataclass(frozen=True, slots=True)
class Unresolvable:
    """A registry does not have an image, or not for the revision's credentials."""

    message: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """What could be found out: digests by what the containers name as their image."""

    digests: Mapping[str, str]


Resolution: TypeAlias = Resolving | Unresolvable | Resolved


def is_resolved(revision: Wire) -> bool:
    """Whether its status says what its tags mean, or that this is left to its pods."""
    return "containerStatuses" in status_of(revision)


def tags_of(revision: Wire, skipped: Collection[str]) -> dict[str, str]:
    """The pull policies of the images that a registry is to be asked about, by their text.

    Args:
        revision: any.
        skipped: registries whose tags stay tags.
    """
    found = {}
    for container in _containers(revision):
        text = str(container.get("image") or "")
        if _is_asked_about(text, skipped):
            found[text] = str(container.get("imagePullPolicy") or "")
    return found


def digest_on_nodes(image: Image, nodes: Iterable[Wire]) -> str:
    """The image by the digest that a node has under its tag; empty if none has it."""
    for node in sorted(nodes, key=name_of):
        for one in status_of(node).get("images") or ():
            names = one.get("names") or ()
            if str(image) in names:
                return next((n for n in names if n.startswith(f"{image.name}{_DIGEST}")), "")
    return ""


def pinned(revision: Wire, digests: Mapping[str, str], skipped: Collection[str]) -> dict[str, str]:
    """What the revision's pods run instead of their images' tags, by the container's name.

    Args:
        revision: any.
        digests: found out just now, by the image's text.
        skipped: registries whose tags stay tags.
    """
    known = {**_known(revision), **_by_name(revision, digests)}
    return {
        name: known[name]
        for container in _containers(revision)
        if (name := str(container.get("name"))) in known
        and _is_asked_about(str(container.get("image") or ""), skipped)
    }


def container_statuses(
    revision: Wire,
    pods: Sequence[Wire],
    digests: Mapping[str, str],
    skipped: Collection[str] = (),
) -> Wire:
    """The fields ``containerStatuses`` and, with init containers, ``initContainerStatuses``.

    Args:
        revision: whose.
        pods: of the revision.
        digests: found out just now, by the image's text.
        skipped: registries whose tags stay tags: their images get no digest.
    """
    known = {**_seen_in(pods), **_by_name(revision, digests), **_known(revision)}
    return {
        name: [_status(one, known, skipped) for one in containers]
        for field, name in _FIELDS
        if (containers := spec_of(revision).get(field))
    }


def _is_asked_about(text: str, skipped: Collection[str]) -> bool:
    if is_runtime(text):
        return False
    try:
        image = Image.parse(text)
    except ValueError:  # its pod says so
        return False
    return not image.digest and image.registry not in skipped


def _containers(revision: Wire) -> Iterator[Wire]:
    for field, _ in _FIELDS:
        yield from spec_of(revision).get(field) or ()


def _by_name(revision: Wire, digests: Mapping[str, str]) -> dict[str, str]:
    images = {str(one.get("name")): str(one.get("image")) for one in _containers(revision)}
    return {name: digests[image] for name, image in images.items() if image in digests}


def _status(container: Wire, known: Mapping[str, str], skipped: Collection[str]) -> Wire:
    name, image = str(container.get("name") or ""), str(container.get("image") or "")
    digest = image if _DIGEST in image else known.get(name)
    if digest != image and image.partition("/")[0] in skipped:
        digest = None
    return {"name": name, **({"imageDigest": digest} if digest else {})}


def _known(revision: Wire) -> dict[str, str]:
    """What the status says already, by the container's name."""
    said = [one for _, field in _FIELDS for one in status_of(revision).get(field) or ()]
    return {str(one["name"]): one["imageDigest"] for one in said if one.get("imageDigest")}


def _seen_in(pods: Sequence[Wire]) -> dict[str, str]:
    """The images that pods report by digest, by the container's name; the first pod's win."""
    found: dict[str, str] = {}
    for pod in sorted(pods, key=name_of):
        for _, field in _FIELDS:
            for one in status_of(pod).get(field) or ():
                if _DIGEST in str(one.get("imageID") or ""):
                    found.setdefault(str(one.get("name")), str(one["imageID"]))
    return found
