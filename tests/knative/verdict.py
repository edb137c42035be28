"""What a suite's tests did, held against what is expected of them."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
_OUTCOMES = {"pass": PASSED, "fail": FAILED, "skip": SKIPPED}
_LOGGED = re.compile(r"^\s+\w+\.go:\d+: (.*)")
_SAID_MAX = 300  #: characters, half from each end: some print whole objects
_OFFLINE = "offline"


@dataclass(frozen=True)
class Outcome:
    """What became of one test; ``output`` is all it printed."""

    test: str
    outcome: str
    seconds: float = 0.0
    output: str = ""
    tries: int = 1

    @property
    def said(self) -> str:
        """The last line that was logged, without its place in the file."""
        lines = [found[1] for line in self.output.splitlines() if (found := _LOGGED.match(line))]
        said = lines[-1].strip() if lines else ""
        half = _SAID_MAX // 2
        return said if len(said) <= _SAID_MAX else f"{said[:half]} … {said[-half:]}"


@dataclass(frozen=True)
class Expected:
    """One entry of ``expected.toml``: a test (with all below it) that fails, and why."""

    suite: str
    test: str
    why: str
    offline: bool = False  #: fails only on a machine without the internet

    def covers(self, test: str) -> bool:
        """Whether it speaks of ``test``."""
        return test == self.test or test.startswith(f"{self.test}/")


@dataclass
class Verdict:
    """A suite's outcomes, sorted by what was expected."""

    suite: str
    outcomes: list[Outcome]
    expected: dict[str, str] = field(default_factory=dict)  #: failed as expected: why, by test
    unexpected: list[Outcome] = field(default_factory=list)  #: failed, and should not have
    repaired: list[Expected] = field(default_factory=list)  #: expected to fail, and passed

    @property
    def holds(self) -> bool:
        """Nothing came differently than expected, and something ran."""
        return bool(self.outcomes) and not self.unexpected and not self.repaired

    def count(self, outcome: str) -> int:
        """How many tests came out so."""
        return sum(one.outcome == outcome for one in self.outcomes)


def read_expected(text: str, suites: Iterable[str]) -> list[Expected]:
    """Read ``expected.toml``: ``[SUITE]`` tables of ``TEST = "why"`` or ``{offline = "why"}``.

    Raises:
        ValueError: a suite is unknown, or a reason is missing.
    """
    found = []
    for suite, tests in tomllib.loads(text).items():
        if suite not in set(suites):
            raise ValueError(f"no suite is called {suite!r}")
        for test, said in tests.items():
            offline = isinstance(said, dict) and set(said) == {_OFFLINE}
            why = said[_OFFLINE] if offline else said
            if not isinstance(why, str) or not why.strip():
                raise ValueError(f"{suite}.{test}: expected a reason, found {why!r}")
            found.append(Expected(suite, test, why, offline))
    return found


def outcomes_of(events: Iterable[str]) -> list[Outcome]:
    """Leaf tests from ``go tool test2json``'s lines; one that never ended counts as failed."""
    output: dict[str, list[str]] = {}
    ended: dict[str, tuple[str, float]] = {}
    for line in events:
        event: Mapping[str, object] = json.loads(line)
        test = str(event.get("Test", ""))
        if not test:
            continue
        output.setdefault(test, [])
        action = str(event["Action"])
        if action == "output":
            output[test].append(str(event["Output"]))
        elif action in _OUTCOMES:
            ended[test] = (_OUTCOMES[action], float(str(event.get("Elapsed", 0))))
    return [
        Outcome(test, *ended.get(test, (FAILED, 0.0)), output="".join(output[test]))
        for test in output
        if _is_leaf(test, output, ended)
    ]


def _is_leaf(test: str, known: Iterable[str], ended: Mapping[str, tuple[str, float]]) -> bool:
    """Whether it has no subtests, or failed although none of them did."""
    below = [other for other in known if other.startswith(f"{test}/")]
    if not below:
        return True
    failed = ended.get(test, (FAILED, 0.0))[0] == FAILED
    return failed and not any(ended.get(other, (FAILED, 0.0))[0] == FAILED for other in below)


def judge(
    suite: str, outcomes: list[Outcome], expected: Iterable[Expected], *, whole: bool = True
) -> Verdict:
    """Hold the outcomes against what is expected; ``whole``: every test of the suite ran."""
    verdict = Verdict(suite, outcomes)
    mine = [one for one in expected if one.suite == suite]
    seen = set()
    for outcome in outcomes:
        if outcome.outcome != FAILED:
            continue
        entry = next((one for one in mine if one.covers(outcome.test)), None)
        if entry is None:
            verdict.unexpected.append(outcome)
        else:
            verdict.expected[outcome.test] = entry.why
            seen.add(entry)
    ran = {
        one
        for one in mine
        for outcome in outcomes
        if one.covers(outcome.test) and outcome.outcome == PASSED
    }
    verdict.repaired = [one for one in mine if one not in seen and (whole or one in ran)]
    return verdict
