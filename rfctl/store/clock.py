"""The steady clock: the time by which everything in Redis is due.

It follows the clock of the Redis server, and goes on where that one jumps (NTP, a hypervisor, a failover).

Redis keeps how far the server's clock is ahead, in one hash a shard (lua/shared/clock.lua). Each process remembers what
the steady clock showed last, and when by its own monotonic clock. So it can say within which bounds the steady clock
must be now. A script outside these bounds ends before it writes, and `settle` finds out why: either the call was
long on its way, or the server's clock has jumped. Then the step is written down, and the call is made again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from rfctl.store import replies

CLOCK_STEP = "CLOCKSTEP"
"""The code of the error by which a script says that the time is not within the caller's bounds."""
_SLACK_MS = 1000
"""A smaller jump is not noticed, and does no more harm than that."""
_DRIFT = 0.05
"""Two clocks may run so differently: the steady clock closes a gap by 2 %."""
_FRESH_S = 60.0

Calls = Callable[[Sequence[Sequence[Any]]], Awaitable[list[Any]]]
"""Sends commands in one write and returns their answers."""
SetStep = Callable[[int, int], Awaitable[Any]]
"""Runs the script set_step with the step that was read and the new one, ms; returns the step in force."""
Bounds = tuple[int | str, int | str]
"""The earliest and the latest time that the steady clock may show, Unix ms; "" for none."""


class Clock(Protocol):
    """One clock, read in two ways that must agree."""

    @property
    def include(self) -> str | None:
        """Lua text in place of shared/clock.lua, which must give what that gives; None is that file."""

    async def now_ms(self, calls: Calls, key: str) -> int:
        """Return the time, Unix ms; `key` is the clock of a shard."""

    def fresh_bounds(self, key: str) -> Bounds | None:
        """Return `bounds`, or None if the clock was not read lately: without a reading there are none."""

    async def keep_fresh(self, calls: Calls, key: str) -> None:
        """Read the clock if it is not fresh. Raises RfctlError."""

    def bounds(self, key: str) -> Bounds:
        """Return within which bounds the time must be now, for the scripts."""

    async def settle(self, calls: Calls, set_step: SetStep, key: str) -> None:
        """Find out why the time was not within the bounds; write the step down if the server's clock has jumped."""


_BOOT_TIME = getattr(time, "CLOCK_BOOTTIME", None)
read_host_clock: Callable[[], float] = (
    time.monotonic if _BOOT_TIME is None else partial(time.clock_gettime, _BOOT_TIME)
)
"""Returns a clock of this host that never jumps, s. Where it can, it goes on while the host is suspended."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """The steady clock showed `now_ms` (Unix ms) between two moments of this host's clock (s)."""

    now_ms: int
    asked_at: float
    answered_at: float

    def earliest(self, at: float) -> float:
        """Return the earliest time that the steady clock may show at a later moment, Unix ms."""
        return self.now_ms + (at - self.answered_at) * 1000

    def latest(self, at: float) -> float:
        """Return the latest time that the steady clock may show at a later moment, Unix ms."""
        return self.now_ms + (at - self.asked_at) * 1000

    def slack(self, at: float) -> float:
        """Return by how much the two clocks may differ at a later moment, ms."""
        return _SLACK_MS + _DRIFT * (at - self.asked_at) * 1000

    def bounds(self, at: float) -> tuple[int, int]:
        """Return `earliest` and `latest` with the slack, written out: every call passes here."""
        now_ms, passed_ms = self.now_ms, (at - self.asked_at) * 1000
        slack = _SLACK_MS + _DRIFT * passed_ms
        return int(now_ms + (at - self.answered_at) * 1000 - slack), int(now_ms + passed_ms + slack)


@dataclass(frozen=True, slots=True)
class _State:
    """What one answer of Redis says: the server's time, the step, and the latest steady time written down (ms)."""

    wall_ms: int
    step_ms: int
    seen_ms: int | None

    @property
    def now_ms(self) -> int:
        return self.wall_ms - self.step_ms


class ServerClock:
    """The steady clock of one Redis, for all connections of this process. `host_clock` counts seconds."""

    include: str | None = None

    def __init__(self, host_clock: Callable[[], float] = read_host_clock) -> None:
        self._host_clock = host_clock
        self._readings: dict[str, _Reading] = {}
        self._own_steps: dict[str, int] = {}
        """The last step that this process wrote down, by key. Where another process has changed it since, that counts:
        this host may have stood still, and two processes must not contradict each other for ever."""

    async def now_ms(self, calls: Calls, key: str) -> int:
        """Return the steady time, Unix ms. It writes nothing: the next script settles a jump. Raises RfctlError."""
        asked_at = self._host_clock()
        state = await _read(calls, key)
        answered_at = self._host_clock()
        expected = self._expect(key, state, asked_at, answered_at)
        if expected != state.now_ms:
            return expected
        self._readings[key] = _Reading(state.now_ms, asked_at, answered_at)
        return state.now_ms

    def fresh_bounds(self, key: str) -> Bounds | None:
        """Return `bounds`, or None if the clock was not read lately: in half the time for which a reading counts.

        It is read while the last reading still counts, so that no jump is taken for the time that has passed.
        """
        at, reading = self._host_clock(), self._readings.get(key)
        if reading is None or at - reading.answered_at >= _FRESH_S / 2:
            return None
        return reading.bounds(at)

    async def keep_fresh(self, calls: Calls, key: str) -> None:
        """Read the clock if it is not fresh: the first script too must notice a jump. Raises RfctlError."""
        if self.fresh_bounds(key) is None:
            await self.now_ms(calls, key)

    def bounds(self, key: str) -> Bounds:
        """Return within which bounds the steady clock must be now."""
        at = self._host_clock()
        reading = self._fresh_reading(key, at)
        return ("", "") if reading is None else reading.bounds(at)

    async def settle(self, calls: Calls, set_step: SetStep, key: str) -> None:
        """Write a step down if the server's clock has jumped, and read the clock anew. Raises RfctlError."""
        asked_at = self._host_clock()
        state = await _read(calls, key)
        answered_at = self._host_clock()
        expected, step_ms = self._expect(key, state, asked_at, answered_at), state.step_ms
        if expected != state.now_ms and not self._is_contradicted(key, state):
            jump_ms = state.now_ms - expected
            step_ms = replies.integer(await set_step(state.step_ms, state.step_ms + jump_ms))
            self._own_steps[key] = step_ms
            _log_step(jump_ms, step_ms)
        self._readings[key] = _Reading(state.wall_ms - step_ms, asked_at, answered_at)

    def _is_contradicted(self, key: str, state: _State) -> bool:
        """Say whether another process has changed the step that this one wrote; its word counts once."""
        own = self._own_steps.pop(key, None)
        return own is not None and abs(own - state.step_ms) > _SLACK_MS

    def _fresh_reading(self, key: str, at: float) -> _Reading | None:
        reading = self._readings.get(key)
        return reading if reading is not None and at - reading.answered_at < _FRESH_S else None

    def _expect(self, key: str, state: _State, asked_at: float, answered_at: float) -> int:
        """Return what the steady clock should have shown between two moments: what it did show, unless it jumped."""
        earliest: float = -math.inf if state.seen_ms is None else state.seen_ms
        latest, slack = math.inf, _SLACK_MS / 2  # less than a script allows: what it refuses is settled here
        if reading := self._fresh_reading(key, asked_at):
            earliest, latest = reading.earliest(asked_at), reading.latest(answered_at)
            slack = reading.slack(answered_at)
        if earliest - slack <= state.now_ms <= latest + slack:
            return state.now_ms
        return int(min(max(state.now_ms, earliest), latest))


def _log_step(jump_ms: int, step_ms: int) -> None:
    import structlog  # noqa: PLC0415 - commands that only read never need it

    log = structlog.get_logger("store")
    log.warning(
        "clock_stepped", jump_ms=jump_ms, step_ms=step_ms, next="set the clock of the Redis host right"
    )


async def _read(calls: Calls, key: str) -> _State:
    time_reply, marks = await calls([("TIME",), ("HMGET", key, "step", "seen")])
    seconds, micros = map(replies.integer, replies.array(time_reply))
    step, seen = replies.array(marks)
    return _State(
        seconds * 1000 + micros // 1000,
        replies.integer(step) if step is not None else 0,
        replies.integer(seen) if seen is not None else None,
    )
