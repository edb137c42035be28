"""Runs a program as this process's child, and passes on signals, exit code and first answer."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import time
from typing import Any

from hearth.loader.become import Pod
from hearth.loader.entry import Program
from hearth.loader.packages import CodeError
from hearth.loader.protocol import Specialisation

_POLL_FIRST_S = 0.001  #: between two looks whether a program listens; doubles up to
_POLL_MAX_S = 0.05
_PASSED_ON = (
    signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
)  # fmt: skip


def run_program(program: Program, spec: Specialisation, pod: Pod, port: int) -> int:
    """Run it until it ends; returns its exit code, or ends as it did by the same signal.

    Raises:
        CodeError: there is no such program.
    """
    host = _free(pod.app_socket)
    try:
        child = subprocess.Popen(program.argv)
    except OSError as error:
        raise CodeError("CodeInvalid", f"cannot run {program.argv[0]}: {error}") from error
    for number in _PASSED_ON:
        signal.signal(number, lambda received, frame: child.send_signal(received))
    if _await_answer(child, host, port, spec.listen_timeout_s):
        pod.listening()
    elif child.poll() is None:
        child.kill()
        child.wait()
        return pod.fail_with_output(
            "NotListening", f"nothing listens on port {port} after {spec.listen_timeout_s:g} s"
        )
    else:
        said = f"the program ended with {_said(child.returncode)} before it listened on {port}"
        pod.fail_with_output("ExitedEarly", said)
    return _end_like(_wait(child))


def _free(sock: socket.socket | None) -> str:
    """Give the port up for the program; returns where the program will be reached."""
    if sock is None:
        return "127.0.0.1"
    host = str(sock.getsockname()[0])
    sock.close()
    return "127.0.0.1" if host == "0.0.0.0" else host


def _wait(child: subprocess.Popen[Any]) -> int:
    """Wait for the program, and reap what it left to us meanwhile, as an init does."""
    while child.poll() is None:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        if ended is not None and ended.si_pid != child.pid:
            os.waitpid(ended.si_pid, 0)
    return int(child.returncode)


def _end_like(returncode: int) -> int:
    """The exit code; where the program died by a signal, so do we: whoever looks sees which."""
    if returncode >= 0:
        return returncode
    number = -returncode
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number  # a signal that does not end us


def _await_answer(
    child: subprocess.Popen[Any], host: str, port: int, listen_timeout_s: float
) -> bool:
    """Whether the port accepted a connection before the program ended and the time was over."""
    deadline = time.monotonic() + listen_timeout_s
    pause_s = _POLL_FIRST_S
    while child.poll() is None and time.monotonic() < deadline:
        try:
            with socket.socket() as probe:  # looks nothing up: the user may read no codec for that
                probe.settimeout(1.0)
                probe.connect((host, port))
            return child.poll() is None
        except TimeoutError:
            continue
        except OSError as error:
            if error.errno not in (errno.ECONNREFUSED, errno.ECONNRESET):
                raise
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, _POLL_MAX_S)
    return False


def _said(returncode: int) -> str:
    return f"exit code {returncode}" if returncode >= 0 else f"signal {-returncode}"
