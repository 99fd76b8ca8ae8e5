"""The time limits of many attempts, with one timer: most end long before theirs, and a timer of each would cost more."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self


class Deadlines:
    """Limits of `seconds` each, for tasks of one event loop. The timer waits for the oldest."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._open: dict[Limit, None] = {}  # the oldest first: it ends first
        self._timer: asyncio.TimerHandle | None = None

    def limit(self) -> Limit:
        """Return a limit for what is done inside of it: `with deadlines.limit(): …`."""
        return Limit(self)

    def open(self, limit: Limit) -> float:
        """Let a limit run. Returns until when (time of the loop, s)."""
        until = asyncio.get_running_loop().time() + self._seconds
        self._open[limit] = None
        if self._timer is None:
            self._wait(until)
        return until

    def drop(self, limit: Limit) -> None:
        """Forget a limit, whether it has passed or not."""
        self._open.pop(limit, None)

    def _wait(self, until: float) -> None:
        self._timer = asyncio.get_running_loop().call_at(until, self._check)

    def _check(self) -> None:
        self._timer, now = None, asyncio.get_running_loop().time()
        while (oldest := next(iter(self._open), None)) is not None:
            if oldest.until > now:
                self._wait(oldest.until)
                return
            self.drop(oldest)
            oldest.expire()


class Limit:
    """One limit, of the task that enters it. When it has passed, the task gets a TimeoutError, as by `asyncio.timeout`."""

    __slots__ = ("_cancelling", "_deadlines", "_has_passed", "_task", "until")

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._has_passed = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a limit is for a task")
        self._task, self._cancelling = task, task.cancelling()
        self.until = self._deadlines.open(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, _: TracebackType | None
    ) -> None:
        self._deadlines.drop(self)
        if self._has_passed and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from problem

    def expire(self) -> None:
        """Cancel what is done inside."""
        self._has_passed = True
        self._task.cancel()
