"""Reads a frozen settings struct: file (TOML) < environment < flags; unknown names are refused."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)


class SettingsError(Exception):
    """A setting is unknown or has a value of the wrong type."""


def load_settings(
    kind: type[T],
    *,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
) -> T:
    """Merge the three sources into ``kind``; a later one wins field by field.

    Args:
        kind: a frozen ``msgspec.Struct`` with ``forbid_unknown_fields``.
        file: a TOML file with the field names as keys.
        environ: ``HEARTH_<FIELD>`` variables.
        flags: what the command line gave; ``None`` means not given.

    Raises:
        SettingsError: names the source and the field.
    """
    merged: dict[str, Any] = {}
    if file is not None:
        try:
            merged.update(tomllib.loads(file.read_text()))
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(f"settings file {file}: {error}") from error
    for field in msgspec.structs.fields(kind):
        if environ and (name := f"HEARTH_{field.name.upper()}") in environ:
            merged[field.name] = environ[name]
    merged.update({k: v for k, v in (flags or {}).items() if v is not None})
    try:
        return msgspec.convert(merged, kind, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"settings: {error}") from error
