"""The files of a volume that shows an object's keys: pure.

Source: kubelet's MakePayload of secrets and configMaps, CollectData of the downward API; the
messages of faults are theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hearth.api.downward import field_value, resource_value
from hearth.api.meta import Wire

DEFAULT_MODE = 0o644


class VolumeFault(Exception):
    """A volume cannot be had; the message is kubelet's where it has one."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of a volume."""

    data: bytes
    mode: int  #: permission bits
    owner: int | None = None  #: user; None: the node agent's

    def __post_init__(self) -> None:
        """A mode is permission bits alone."""
        assert 0 <= self.mode <= 0o777, self.mode


Files = Mapping[str, File]  #: by path relative to the volume


def files_of_keys(
    data: Mapping[str, bytes], source: Wire, mode: int, what: str, *, optional: bool
) -> dict[str, File]:
    """All keys of a Secret or ConfigMap, or the ``items`` of ``source``.

    Args:
        data: contents by key.
        source: the volume's source, for ``items``.
        mode: of files that do not say theirs.
        what: ``secret`` or ``config``, for the message.
        optional: keys may be missing.

    Raises:
        VolumeFault: an item's key is missing, or its path leaves the volume.
    """
    items = source.get("items")
    if not items:
        return {key: File(value, mode) for key, value in data.items()}
    files = {}
    for item in items:
        key = str(item.get("key"))
        if key in data:
            files[_inside(item)] = File(data[key], _mode(item, mode))
        elif not optional:
            raise VolumeFault(f"references non-existent {what} key: {key}")
    return files


def files_of_pod(
    items: Sequence[Wire], pod: Wire, mode: int, allocatable: Mapping[str, str]
) -> dict[str, File]:
    """The files of a downward API volume.

    Raises:
        VolumeFault: the pod has no such field or resource.
    """
    files = {}
    for item in items:
        try:
            if reference := item.get("fieldRef"):
                text = field_value(pod, str(reference.get("fieldPath")))
            else:
                text = resource_value(pod, item.get("resourceFieldRef") or {}, "", allocatable)
        except ValueError as error:
            raise VolumeFault(str(error)) from error
        files[_inside(item)] = File(text.encode(), _mode(item, mode))
    return files


def token_file(source: Wire, token: str, mode: int, owner: int | None) -> dict[str, File]:
    """The file of a service account's token; ``owner`` is the one user of the pod, if it says."""
    return {_inside(source): File(token.encode(), mode if owner is None else 0o600, owner)}


def default_mode(source: Wire) -> int:
    """The mode of the source's files; 0644 when it does not say."""
    found = source.get("defaultMode")
    return DEFAULT_MODE if found is None else int(found)


def _mode(item: Wire, mode: int) -> int:
    own: Any = item.get("mode")
    return mode if own is None else int(own)


def _inside(item: Wire) -> str:
    path = str(item.get("path") or "")
    steps = path.split("/")
    if not path or path.startswith("/") or ".." in steps or path.startswith(".."):
        raise VolumeFault(f"path {path!r}: must be relative and must not contain '..'")
    return path
