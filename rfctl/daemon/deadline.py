"""The deadline of a connection: it moves with every request, and its timer seldom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_NEVER = float("inf")


class Deadline:
    """Calls `on_late` once the deadline has passed. Deadlines are set at each step, but few come: so there is one timer.

    `why` is what was set with the deadline. `until` is when it passes, by the clock of the loop (s), or None.
    """

    __slots__ = ("_loop", "_on_late", "_rings_at", "_timer", "until", "why")

    def __init__(self, loop: asyncio.AbstractEventLoop, on_late: Callable[[], None]) -> None:
        self._loop = loop
        self._on_late = on_late
        self.until: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = _NEVER
        self.why = ""

    def set(self, within_s: float, why: str = "") -> None:
        """Set the deadline, in place of the one before."""
        self.why = why
        self.until = until = self._loop.time() + within_s
        if until < self._rings_at:
            self._ring_at(until)

    def close(self) -> None:
        """Have no deadline, and no timer."""
        self.until = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._rings_at = None, _NEVER

    def _ring_at(self, at: float) -> None:
        """Have the timer ring then, in place of later."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._rings_at = self._loop.call_at(at, self._check), at

    def _check(self) -> None:
        self._timer, self._rings_at = None, _NEVER
        if self.until is None:
            return
        if self._loop.time() < self.until:
            self._ring_at(self.until)
            return
        self.until = None
        self._on_late()
