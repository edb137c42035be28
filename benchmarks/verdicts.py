"""A claim beside what was measured: what the table at the end of a run shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Verdict = dict[str, object]

_COLUMNS = ("claim", "wanted", "measured", "")


def at_most(claim: str, limit: float, measured: float, unit: str = "") -> Verdict:
    """Holds if ``measured`` is no more than ``limit``; both in ``unit``."""
    return _verdict(
        claim, f"≤ {_number(limit)}{unit}", f"{_number(measured)}{unit}", measured <= limit
    )


def at_least(claim: str, limit: float, measured: float, unit: str = "") -> Verdict:
    """Holds if ``measured`` is no less than ``limit``; both in ``unit``."""
    return _verdict(
        claim, f"≥ {_number(limit)}{unit}", f"{_number(measured)}{unit}", measured >= limit
    )


def exactly(claim: str, wanted: str, measured: str) -> Verdict:
    """Holds if both are the same."""
    return _verdict(claim, wanted, measured, wanted == measured)


def _verdict(claim: str, wanted: str, measured: str, met: bool) -> Verdict:
    return {"claim": claim, "wanted": wanted, "measured": measured, "met": met}


def _number(value: float) -> str:
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def table(verdicts: Sequence[Verdict], failed: Iterable[tuple[str, str]]) -> str:
    """All claims with what was measured, and what could not be measured and why."""
    rows: list[Sequence[str]] = [_COLUMNS]
    for one in verdicts:
        met = "met" if one["met"] else "NOT MET"
        rows.append((str(one["claim"]), str(one["wanted"]), str(one["measured"]), met))
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    met = sum(bool(one["met"]) for one in verdicts)
    lines.append(f"{met} of {len(verdicts)} claims met")
    return "\n".join([*lines, *(f"{bench}: NOT MEASURED: {why}" for bench, why in failed)])
