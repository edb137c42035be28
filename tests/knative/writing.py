"""Verdicts as text: a line while it runs, a table at the end."""

from __future__ import annotations

from collections.abc import Sequence

from tests.knative.verdict import FAILED, PASSED, SKIPPED, Verdict


def summary(verdict: Verdict) -> str:
    """One suite's counts, and what came differently than expected."""
    lines = [
        f"{verdict.suite}: {verdict.count(PASSED)} passed, {verdict.count(FAILED)} failed "
        f"({len(verdict.expected)} of them expected), {verdict.count(SKIPPED)} skipped"
    ]
    lines += [f"  unexpected failure: {one.test}: {one.said}" for one in verdict.unexpected]
    lines += [f"  expected to fail, and passed: {one.test}" for one in verdict.repaired]
    return "\n".join(lines)


def table(verdicts: Sequence[Verdict]) -> str:
    """The counts of all suites, then each test that did not pass at once, with its reason."""
    lines = ["| suite | passed | failed | of them expected | skipped |", "|---|---|---|---|---|"]
    for one in verdicts:
        counts = (one.count(PASSED), one.count(FAILED), len(one.expected), one.count(SKIPPED))
        lines.append(f"| {one.suite} | {' | '.join(map(str, counts))} |")
    lines += ["", "| test | outcome | why |", "|---|---|---|"]
    for verdict in verdicts:
        for outcome in verdict.outcomes:
            name = f"{verdict.suite}: {outcome.test}"
            if outcome.outcome == FAILED:
                why = verdict.expected.get(outcome.test)
                how = "failed, as expected" if why else "failed"
                lines.append(f"| {name} | {how} | {_cell(why or outcome.said)} |")
            elif outcome.outcome == SKIPPED:
                lines.append(f"| {name} | skipped | {_cell(outcome.said)} |")
            elif outcome.tries > 1:
                lines.append(f"| {name} | passed at try {outcome.tries} | |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split())[:300].replace("|", "\\|")
