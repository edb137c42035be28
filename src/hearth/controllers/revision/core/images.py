"""Which images a revision's containers run, by digest.

What an image's tag meant is known once a pod has it, and holds from then on: a revision does not
change when the tag moves.

Source: knative.dev/serving pkg/reconciler/revision (reconcileDigest), where it is asked of the
registry before there is a pod.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from hearth.api.meta import Wire, name_of, spec_of, status_of

_DIGEST = "@sha256:"
_FIELDS = (("containers", "containerStatuses"), ("initContainers", "initContainerStatuses"))


def container_statuses(
    revision: Wire, pods: Sequence[Wire], unresolved: Collection[str] = ()
) -> Wire:
    """The fields ``containerStatuses`` and, with init containers, ``initContainerStatuses``.

    Args:
        revision: whose.
        pods: of the revision.
        unresolved: registries whose tags may go on moving: their images get no digest.
    """
    seen = _seen_in(pods)
    found: Wire = {}
    for field, name in _FIELDS:
        if containers := spec_of(revision).get(field):
            before = _digests(status_of(revision).get(name) or ())
            known = {**seen, **before}
            found[name] = [_status(one, known, unresolved) for one in containers]
    return found


def _status(container: Wire, known: dict[str, str], unresolved: Collection[str]) -> Wire:
    name, image = str(container.get("name") or ""), str(container.get("image") or "")
    digest = image if _DIGEST in image else known.get(name)
    if digest != image and image.partition("/")[0] in unresolved:
        digest = None
    return {"name": name, **({"imageDigest": digest} if digest else {})}


def _digests(statuses: Iterable[Wire]) -> dict[str, str]:
    return {str(one["name"]): one["imageDigest"] for one in statuses if one.get("imageDigest")}


def _seen_in(pods: Sequence[Wire]) -> dict[str, str]:
    """The images that pods report by digest, by the container's name; the first pod's win."""
    found: dict[str, str] = {}
    for pod in sorted(pods, key=name_of):
        for _, field in _FIELDS:
            for one in status_of(pod).get(field) or ():
                if _DIGEST in str(one.get("imageID") or ""):
                    found.setdefault(str(one.get("name")), str(one["imageID"]))
    return found
