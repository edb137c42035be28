"""Run Knative's own conformance, runtime-contract and end-to-end suites against ``hearth up``.

    python -m tests.knative                     all suites but those over https
    python -m tests.knative api runtime         these
    python -m tests.knative e2e --run TestGRPC  these tests of it
    python -m tests.knative --quick             without the four that take minutes each

What was built stays in the cache; what a run left, logs and tables, goes to the results folder.
Ends with 0 when every test came out as ``expected.toml`` says.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.knative.as_packages import packaged
from tests.knative.images import write_archive
from tests.knative.platform import (
    INGRESS_CLASS,
    REPOSITORY,
    configure,
    endpoint,
    environment,
    issuer,
    load_images,
    platform,
)
from tests.knative.source import Source, Unavailable
from tests.knative.suites import IMAGES, SUITES, Suite
from tests.knative.verdict import FAILED, Outcome, judge, outcomes_of, read_expected
from tests.knative.writing import summary, table
from tests.system.pebble import program as pebble_program
from tests.system.running import Running

EXPECTED = Path(__file__).with_name("expected.toml")
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hearth"


def main() -> int:
    """Build, start, run, judge."""
    options = _options()
    chosen = options.suites or [one.name for one in SUITES if not one.extra]
    suites = [one for one in SUITES if one.name in chosen]
    expected = read_expected(EXPECTED.read_text(), [one.name for one in SUITES])
    expected = [one for one in expected if not (one.offline and _is_online())]
    try:
        source = Source.fetch(options.cache)
        programs = {one.name: source.suite(one.package, one.tag) for one in suites}
        archives = _archives(source)
        if any(one.acme for one in suites):
            pebble_program()
    except (Unavailable, pytest.skip.Exception) as e:
        print(f"skipped: {e}")
        return 0
    results = options.results or Path(tempfile.mkdtemp(prefix="hearth-knative-"))
    results.mkdir(parents=True, exist_ok=True)
    verdicts = []
    with platform(results, options.http_port) as running:
        load_images(running, archives)
        for suite in suites:
            with (
                issuer(running, suite, results / "acme") as issuing,
                _environment(suite, running, source, results) as environ,
            ):
                configure(running, {**suite.config, **issuing})
                place = Place(endpoint(running), environ)
                runner = Runner(source, place, suite, programs[suite.name], results, options)
                outcomes = runner.run(options.run, options.tries)
            whole = not options.run and not (options.quick and suite.slow)
            verdicts.append(judge(suite.name, outcomes, expected, whole=whole))
            print(summary(verdicts[-1]), flush=True)
    text = table(verdicts)
    (results / "table.md").write_text(text)
    print(f"\n{text}\nLogs: {results}")
    return 0 if all(one.holds for one in verdicts) else 1


def _is_online() -> bool:
    """Whether the host that Knative's own tests call can be found."""
    try:
        socket.getaddrinfo("www.google.com", 80)
    except OSError:
        return False
    return True


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.knative")
    names = [one.name for one in SUITES]
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(names)}")
    parser.add_argument("--run", default="", help="only tests that match this expression")
    parser.add_argument("--quick", action="store_true", help="leave out tests that take minutes")
    parser.add_argument("--tries", type=int, default=2, help="how often a failing test is run")
    parser.add_argument("--parallel", type=int, default=8, help="tests at a time")
    parser.add_argument("--http-port", type=int, default=0, help="the gateway's; 0: a free one")
    parser.add_argument("--cache", type=Path, default=_CACHE, help="keeps what was built")
    parser.add_argument("--results", type=Path, help="where logs and tables go")
    found = parser.parse_args()
    for name in found.suites:
        if name not in names:
            parser.error(f"no suite is called {name!r}; there are {', '.join(names)}")
    return found


@contextlib.contextmanager
def _environment(
    suite: Suite, running: Running, source: Source, results: Path
) -> Iterator[dict[str, str]]:
    """What the suite's program finds while the block lasts."""
    environ = {**environment(running), **suite.environ}
    if not suite.packaged:
        yield environ
        return
    programs = [source.image_program(path) for path in IMAGES]
    with packaged(Path(environ["KUBECONFIG"]), programs, results / "packages") as kubeconfig:
        yield {**environ, "KUBECONFIG": str(kubeconfig)}


def _archives(source: Source) -> list[Path]:
    folder = source.built / "images"
    folder.mkdir(exist_ok=True)
    found = []
    for path in IMAGES:
        program = source.image_program(path)
        reference = f"{REPOSITORY}/{program.name}:latest"
        found.append(write_archive(reference, program, folder / f"{program.name}.tar"))
    return found


@dataclass(frozen=True)
class Place:
    """Where a suite's program finds the platform."""

    endpoint: str  #: address of the gateway
    environ: dict[str, str]


class Runner:
    """One suite against one platform."""

    def __init__(
        self, source: Source, place: Place, suite: Suite, program: Path,
        results: Path, options: argparse.Namespace,
    ) -> None:  # fmt: skip
        self._source = source
        self._place = place
        self._suite = suite
        self._program = program
        self._results = results
        self._parallel = suite.parallel or options.parallel
        skip = [f"-test.skip={suite.slow}"] if options.quick and suite.slow else []
        self._flags = [*suite.flags, *skip]

    def run(self, only: str, tries: int) -> list[Outcome]:
        """Every test once, then those that failed again, each alone."""
        found = {one.test: one for one in self._once(only, self._parallel, "")}
        for attempt in range(2, tries + 1):
            failed = sorted({o.test.split("/")[0] for o in found.values() if o.outcome == FAILED})
            for test in failed:
                for one in self._once(f"^{test}$", 1, f".{test}.{attempt}"):
                    before = found.get(one.test)
                    if before is None or before.outcome == FAILED:
                        found[one.test] = Outcome(
                            one.test, one.outcome, one.seconds, one.output, attempt
                        )
        return [one for one in found.values() if not self._is_parent(one, found)]

    @staticmethod
    def _is_parent(one: Outcome, found: dict[str, Outcome]) -> bool:
        return any(other.startswith(f"{one.test}/") for other in found)

    def _once(self, only: str, parallel: int, suffix: str) -> list[Outcome]:
        log = self._results / f"{self._suite.name}{suffix}.log"
        command: Sequence[str] = [
            str(self._program), "-test.v=test2json", f"-test.timeout={self._suite.timeout}",
            f"-test.parallel={parallel}", *([f"-test.run={only}"] if only else []),
            "-resolvabledomain=false", f"-ingressendpoint={self._place.endpoint}",
            "-disable-logstream", "-enable-alpha", "-enable-beta", f"-dockerrepo={REPOSITORY}",
            f"-ingress-class={INGRESS_CLASS}",
            "-spoofinterval=100ms", "-spooftimeout=2m",
            *self._flags,
        ]  # fmt: skip
        started = time.monotonic()
        with log.open("wb") as out:
            subprocess.run(
                command, cwd=self._source.folder / self._suite.package, stdout=out,
                stderr=subprocess.STDOUT, env=self._place.environ, check=False,
            )  # fmt: skip
        print(f"{self._suite.name}{suffix}: {time.monotonic() - started:.0f} s", flush=True)
        events = subprocess.run(
            [self._source.go, "tool", "test2json"],
            stdin=log.open("rb"), capture_output=True, text=True, check=True,
        )  # fmt: skip
        return outcomes_of(events.stdout.splitlines())


if __name__ == "__main__":
    sys.exit(main())
