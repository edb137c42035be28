"""Where time comes from."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """The two times a component may need."""

    def monotonic_s(self) -> float:
        """Seconds that never go back, for intervals."""
        ...

    def now(self) -> datetime:
        """Wall time in UTC, for what users read."""
        ...


class SystemClock:
    """The machine's clock."""

    def monotonic_s(self) -> float:
        """Seconds since some fixed moment."""
        return time.monotonic()

    def now(self) -> datetime:
        """Wall time in UTC."""
        return datetime.now(UTC)
