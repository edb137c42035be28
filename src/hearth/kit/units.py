"""Scalars that must not be mixed."""

from __future__ import annotations

from typing import NewType

Seconds = NewType("Seconds", float)
