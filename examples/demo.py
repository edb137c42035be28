"""From nothing to a first answer, and back to nothing: run it with ``make demo``.

Starts ``hearth up`` with a state directory of its own, uses only the ``hearth`` command and plain
HTTP, prints what it measures, and checks at the end that nothing is left running.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

HEARTH = str(Path(sys.executable).with_name("hearth"))
EXAMPLES = Path(__file__).parent
START_TIMEOUT_S = 30
ZERO_TIMEOUT_S = 45
END_TIMEOUT_S = 10
REQUESTS = 200
AT_ZERO = ("--initial-scale", "0", "--annotation", "autoscaling.knative.dev/window=6s")
IS_TERMINAL = sys.stdout.isatty()


class DemoError(Exception):
    """Something did not go as it should."""


def styled(text: str, code: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if IS_TERMINAL else text


def title(text: str) -> None:
    print(f"\n{styled(text, '1')}", flush=True)


def say(text: str) -> None:
    print(f"  {text}", flush=True)


@dataclass(frozen=True)
class Answer:
    status: int
    body: str
    first_byte_ms: float
    phases_ms: dict[str, float]  # since the gateway held the request; empty when it was warm


@dataclass(frozen=True)
class Platform:
    process: subprocess.Popen[bytes]
    ready: dict[str, str]

    def has_pods(self, name: str) -> bool:
        """Whether any pod of the service is there."""
        return "\nPOD " in self.run("describe", name)

    def hearth(self, *arguments: str) -> str:
        """Run a command as a user would, and show it."""
        say(styled(f"$ hearth {' '.join(map(shown, arguments))}", "36"))
        return self.run(*arguments)

    def run(self, *arguments: str) -> str:
        environ = {**os.environ, "KUBECONFIG": self.ready["kubeconfig"]}
        done = subprocess.run(
            [HEARTH, *arguments], capture_output=True, text=True, env=environ, check=False
        )
        if done.returncode:
            raise DemoError(f"hearth {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def call(self, name: str) -> Answer:
        """One GET on a connection of its own."""
        port = urlsplit(self.ready["gateway"]).port or 80
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        with contextlib.closing(connection):
            headers = {"Host": f"{name}.default.localhost:{port}", "hearth-timing": "1"}
            started = time.perf_counter()
            connection.request("GET", "/", headers=headers)
            response = connection.getresponse()
            took_ms = (time.perf_counter() - started) * 1000
            body = response.read().decode().strip()
            timing = response.getheader("Server-Timing") or ""
        if response.status != 200:
            raise DemoError(f"{name} answered {response.status}: {body}")
        return Answer(response.status, body, took_ms, dict(phases(timing)))


def shown(argument: str) -> str:
    with contextlib.suppress(ValueError):
        return str(Path(argument).relative_to(EXAMPLES.parent))
    return f"'{argument}'" if " " in argument else argument


def phases(timing: str) -> Iterator[tuple[str, float]]:
    """Milliseconds by phase of a Server-Timing header."""
    for entry in filter(None, timing.split(",")):
        name, _, duration = entry.strip().partition(";dur=")
        yield name, float(duration or 0)


@contextlib.contextmanager
def platform(folder: Path) -> Iterator[Platform]:
    """A ``hearth up`` for the length of the block; nothing of it is left afterwards."""
    state = folder / "state"
    state.mkdir(mode=0o700)
    command = [HEARTH, "up", "--state", str(state), "--http-port", "0", "--api-port", "0"]
    environ = {**os.environ, "XDG_STATE_HOME": str(folder)}  # not the user's last hearth up
    started = time.monotonic()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environ)
    try:
        ready = await_ready(process, state, folder / "log")
        say(f"ready after {time.monotonic() - started:.1f} s")
        say(f"gateway {ready['gateway']}   API {ready['api']}")
        yield Platform(process, ready)
    finally:
        end(process)


def await_ready(process: subprocess.Popen[bytes], state: Path, log: Path) -> dict[str, str]:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, ValueError):
            return dict(json.loads((state / "ready.json").read_text()))
        time.sleep(0.02)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
    raise DemoError(f"hearth up did not become ready within {START_TIMEOUT_S} s:\n{tail}")


def end(process: subprocess.Popen[bytes]) -> None:
    """Ctrl-C, and then look whether anything is left."""
    below = descendants(process.pid)
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    try:
        process.wait(END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise DemoError(f"hearth up did not end within {END_TIMEOUT_S} s of Ctrl-C") from None
    took_s = time.monotonic() - started
    left = [pid for pid in below if is_alive(pid)]
    if left:
        raise DemoError(f"processes are left running: {left}")
    title("The end")
    say(f"Ctrl-C: all {len(below) + 1} processes ended within {took_s:.1f} s, none is left")


def descendants(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [d for child in children for d in (int(child), *descendants(int(child)))]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def show_cold(answer: Answer) -> None:
    """Where the time of a cold start went; the gateway's clock starts when it holds the request."""
    if not answer.phases_ms:
        raise DemoError("the answer does not say where the time of its cold start went")
    before_ms = 0.0
    whole_ms = answer.first_byte_ms
    for phase, at_ms in [*answer.phases_ms.items(), ("first byte", whole_ms)]:
        width = max(0, round((at_ms - before_ms) / whole_ms * 40))
        skipped = " " * round(before_ms / whole_ms * 40)
        bar = styled("█" * max(1, width), "33")
        say(f"{phase:<11}{at_ms:7.1f} ms  {skipped}{bar}")
        before_ms = at_ms


def cold_and_warm(on: Platform, name: str) -> None:
    cold = on.call(name)
    say(f"from zero: {cold.body!r} after {cold.first_byte_ms:.1f} ms")
    show_cold(cold)
    warm = min(on.call(name).first_byte_ms for _ in range(20))
    say(f"warm: {warm:.1f} ms (best of 20)")


def await_zero(on: Platform, *names: str) -> None:
    """Wait until the services have no pod left."""
    started = time.monotonic()
    say(f"waiting until {' and '.join(names)} have been idle for 6 s ...")
    while time.monotonic() - started < ZERO_TIMEOUT_S:
        if not any(on.has_pods(name) for name in names):
            say(f"no pod is left after {time.monotonic() - started:.1f} s")
            return
        time.sleep(0.5)
    raise DemoError(f"not at zero after {ZERO_TIMEOUT_S} s")


def tell(on: Platform) -> None:
    title("Two apps, deployed at zero")
    say(on.hearth("deploy", "hello", "--source", str(EXAMPLES / "hello"), *AT_ZERO))
    say(on.hearth("deploy", "flask", "--source", str(EXAMPLES / "flask"), *AT_ZERO))

    title("The first request of each: its cold start, phase by phase")
    cold_and_warm(on, "hello")
    cold_and_warm(on, "flask")

    title("A second revision gets 20 % of the traffic")
    greeting = "Hello from the second revision!"
    on.hearth("deploy", "hello", "--source", str(EXAMPLES / "hello"), "--env",
              f"GREETING={greeting}", "--no-traffic")  # fmt: skip
    on.hearth("traffic", "hello", "--to", "hello-00002=20")
    counts = Counter(on.call("hello").body for _ in range(REQUESTS))
    for body, count in counts.most_common():
        say(f"{count:4} of {REQUESTS}: {body}")
    if not 0.08 <= counts[greeting] / REQUESTS <= 0.35:
        raise DemoError(f"{counts[greeting]} of {REQUESTS} went to the second revision")

    title("To zero, and back")
    await_zero(on, "hello", "flask")
    cold = on.call("flask")
    say(f"from zero again: {cold.body!r} after {cold.first_byte_ms:.1f} ms")
    show_cold(cold)


def main() -> int:
    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="hearth-demo-") as folder:
            title("Starting the platform: hearth up")
            with platform(Path(folder)) as on:
                tell(on)
    except DemoError as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    say(f"demo done in {time.monotonic() - started:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
