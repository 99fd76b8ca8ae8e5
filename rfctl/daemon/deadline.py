"""The deadline of a connection: it moves with every request, and its timer seldom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Deadline:
    """Calls `on_late` once the deadline has passed. Deadlines are set at each step, but few come: so there is one timer.

    `why` is what was set with the deadline.
    """

    __slots__ = ("_at", "_loop", "_on_late", "_timer", "why")

    def __init__(self, loop: asyncio.AbstractEventLoop, on_late: Callable[[], None]) -> None:
        self._loop = loop
        self._on_late = on_late
        self._at: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.why = ""

    def set(self, within_s: float, why: str = "") -> None:
        """Set the deadline, in place of the one before."""
        self.why = why
        self._at = self._loop.time() + within_s
        if self._timer is not None and self._timer.when() > self._at:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(self._at, self._check)

    def clear(self) -> None:
        """Have no deadline."""
        self._at = None

    def close(self) -> None:
        """Have no deadline, and no timer."""
        self._at = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        self._timer = None
        if self._at is None:
            return
        if self._loop.time() < self._at:
            self._timer = self._loop.call_at(self._at, self._check)
            return
        self._at = None
        self._on_late()
