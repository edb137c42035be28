"""Knative Serving's own source, by Go module: its suites and test images, built once and kept."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

MODULE = "knative.dev/serving"
VERSION = "v0.49.0"


class Unavailable(Exception):
    """The suites cannot be had on this machine; the message says what is missing."""


@dataclass(frozen=True)
class Source:
    """The module's source, and where what is built from it goes."""

    go: str
    folder: Path  #: the module, read-only
    built: Path

    @classmethod
    def fetch(cls, cache: Path) -> Source:
        """Download the module through Go's own proxy.

        Raises:
            Unavailable: there is no Go, or it cannot reach a proxy.
        """
        go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
        if go is None:
            raise Unavailable("Go 1.25 or later is not in PATH: Knative's suites are Go programs")
        command = [go, "mod", "download", "-json", f"{MODULE}@{VERSION}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unavailable(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        built = cache / f"knative-{VERSION}"
        built.mkdir(parents=True, exist_ok=True)
        return cls(go, Path(json.loads(done.stdout)["Dir"]), built)

    def suite(self, package: str, tag: str) -> Path:
        """The program of a package's tests."""
        out = self.built / "suites" / f"{package.replace('/', '-')}-{tag}"
        flags = ["test", "-c", f"-tags={tag}"]
        return self._build(out, flags, package)

    def image_program(self, path: str) -> Path:
        """A static program, by its folder below ``test/test_images``."""
        out = self.built / "programs" / Path(path).name
        flags = ["build", "-trimpath", "-ldflags=-s -w"]
        return self._build(out, flags, f"test/test_images/{path}", CGO_ENABLED="0")

    def _build(self, out: Path, flags: list[str], package: str, **environ: str) -> Path:
        if out.exists():
            return out
        print(f"building {package}", flush=True)
        command = [self.go, *flags, "-o", str(out), f"./{package}"]
        done = subprocess.run(
            command, cwd=self.folder, env={**os.environ, **environ}, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise Unavailable(f"{' '.join(command)}: {done.stderr}")
        return out
