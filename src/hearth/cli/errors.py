"""How a command ends: exit codes, and one sentence on stderr."""

from __future__ import annotations

from enum import IntEnum
from typing import IO, Any

import click

from hearth.api.errors import ApiError, NotFound


class Exit(IntEnum):
    """Exit codes; ``docs/cli/README.md`` lists them."""

    OK = 0
    FAILED = 1  #: it was tried and did not work; stderr says why
    USAGE = 2  #: the command line is wrong
    NOT_FOUND = 3  #: an object that is named does not exist
    NOT_READY = 4  #: it was waited for and is not ready, or failed on the way
    UNREACHABLE = 5  #: no server is known, or it does not answer
    INTERRUPTED = 130  #: Ctrl-C


class Failure(click.ClickException):
    """Ends the command with a sentence: object, what was found, what was expected."""

    def __init__(self, message: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.code = code

    @property
    def exit_code(self) -> int:  # type: ignore[override]  # click declares a class variable
        """What the process exits with."""
        return int(self.code)

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the sentence to stderr."""
        click.echo(f"hearth: {self.message}", file=file, err=True)


def failure_of(error: ApiError | ConnectionError) -> Failure:
    """What a user is told of an error of the API, or of a server that does not answer."""
    if isinstance(error, ConnectionError):
        hint = "is the platform running? (hearth up)"
        return Failure(f"the API server does not answer: {error}; {hint}", Exit.UNREACHABLE)
    return Failure(error.message, Exit.NOT_FOUND if isinstance(error, NotFound) else Exit.FAILED)
