"""Columns of text, as kubectl aligns them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

_GAP = "   "


def format_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Left-aligned columns below upper-case headings; without rows only the headings."""
    cells = [list(headings), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    lines = (
        _GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in cells
    )
    return "\n".join(line.rstrip() for line in lines)


def format_fields(fields: Iterable[tuple[str, object]]) -> str:
    """``Name:  value`` lines with the values in one column; lines of a value keep it."""
    pairs = [(f"{name}:", _cell(value)) for name, value in fields]
    width = max((len(name) for name, _ in pairs), default=0) + len(_GAP)
    return "\n".join(
        f"{name:<{width}}{value.replace(chr(10), chr(10) + ' ' * width)}".rstrip()
        for name, value in pairs
    )


def first_line(wire: Mapping[str, object]) -> str:
    """The first line of a condition's or event's message; ``-o yaml`` shows all of it."""
    return str(wire.get("message") or "").partition("\n")[0]


def format_bytes(count: int) -> str:
    """``312 B``, ``4.2 KiB``, ``250 MiB``."""
    size, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"


def _cell(value: object) -> str:
    return "" if value is None else str(value)
