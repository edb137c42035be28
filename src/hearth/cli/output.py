"""Prints results to stdout, in the form that ``--output`` asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from hearth.api.meta import Wire, metadata, name_of
from hearth.api.tables import age_of


def print_object(wire: Wire, output: str, as_text: Callable[[Wire], str]) -> None:
    """One object; ``as_text`` is for people."""
    if output == "name":
        click.echo(name_of(wire))
    else:
        print_data(_readable(wire), output, lambda _: as_text(wire))


def print_objects(
    items: Sequence[Wire], output: str, as_text: Callable[[Sequence[Wire]], str]
) -> None:
    """Several objects; as JSON and YAML they are a ``List``, as kubectl prints them."""
    if output == "name":
        for item in items:
            click.echo(name_of(item))
        return
    listed = {"apiVersion": "v1", "kind": "List", "items": [_readable(item) for item in items]}
    print_data(listed, output, lambda _: as_text(items))


def print_data(value: Any, output: str, as_text: Callable[[Any], str]) -> None:
    """Anything else that JSON can hold."""
    if output == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))
    elif output == "yaml":
        import yaml

        click.echo(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), nl=False)
    else:
        click.echo(as_text(value))


def age(wire: Wire) -> str:
    """How long ago the object was created."""
    created = metadata(wire).get("creationTimestamp")
    return age_of(created, datetime.now(UTC)) if created else "<unknown>"


def colored(text: str, good: bool | None) -> str:
    """Green or red on a terminal that shows colours (click strips them elsewhere); None: yellow."""
    return click.style(text, fg={True: "green", False: "red", None: "yellow"}[good])


def _readable(wire: Wire) -> Wire:
    """Without managed fields, as kubectl shows objects."""
    meta = {k: v for k, v in metadata(wire).items() if k != "managedFields"}
    return {**wire, "metadata": meta}
