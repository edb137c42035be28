"""JSON lines to stderr: a constant message plus facts.

``log.info("scaled", extra={"f": {"revision": key, "to_pods": 1}})``; facts that hold for a whole
request or reconcile are bound once with :func:`bound`.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import msgspec

_bound: ContextVar[dict[str, Any]] = ContextVar("bound", default={})  # noqa: B039 - never mutated


class JsonFormatter(logging.Formatter):
    """One record, one JSON object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        facts: dict[str, Any] = {**_bound.get(), **getattr(record, "f", {})}
        line = {
            "at": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage(),
            **facts,
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


@contextlib.contextmanager
def bound(**facts: Any) -> Iterator[None]:
    """Add facts to every record logged inside the block (and by tasks started in it)."""
    token = _bound.set({**_bound.get(), **facts})
    try:
        yield
    finally:
        _bound.reset(token)


def log_to_stderr(level: str = "info") -> None:
    """Send all records of at least ``level`` to stderr as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
