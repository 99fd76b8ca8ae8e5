"""The loop that hands over: sleep until the next batch is due, and hand over what is.

`step()` is one turn and can be called alone. Several processors may run on one Redis: the script hands each
batch over once, whoever asks. The loop wakes up at the due time it knows and at the latest every
`max_sleep_ms`: a batch opened meanwhile by another daemon may be due earlier than that one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from rfctl.batching.batcher import Batcher
from rfctl.errors import RfctlError
from rfctl.model.stored import HandedOver

_log = structlog.get_logger("batching")
_BACKOFF_MOST_S = 2.0


class Scheduler:
    """Hands over what is due. `on_turn` is called after each turn, also one that found Redis away; `max_sleep_ms` may be changed."""

    def __init__(
        self, batcher: Batcher, *, max_sleep_ms: int, on_turn: Callable[[], None] = lambda: None
    ) -> None:
        self._batcher = batcher
        self.max_sleep_ms = max_sleep_ms
        self._on_turn = on_turn
        self._woken = asyncio.Event()
        self._asleep_until = 0.0
        self._failures = 0

    async def step(self) -> HandedOver:
        """Hand over everything that is due now, in short calls; returns the last call's answer."""
        while True:
            done = await self._batcher.hand_over()
            self._report(done)
            self._on_turn()
            if not done.more:
                return done
            await asyncio.sleep(0)

    def expect(self, due_in_ms: int) -> None:
        """Tell the loop of a batch that may be due earlier than what it sleeps for."""
        if asyncio.get_running_loop().time() + due_in_ms / 1000 < self._asleep_until:
            self._woken.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Turn until `stopping` is set and `wake` was called; a call that is on its way is never cut off."""
        loop = asyncio.get_running_loop()
        while not stopping.is_set():
            self._woken.clear()
            self._asleep_until = loop.time() + await self._turn()
            try:
                async with asyncio.timeout_at(self._asleep_until):
                    await self._woken.wait()
            except TimeoutError:
                continue

    def wake(self) -> None:
        """End the sleep now."""
        self._woken.set()

    async def _turn(self) -> float:
        """Take one turn and return how long to sleep, s."""
        try:
            done = await self.step()
        except RfctlError as problem:
            self._on_turn()
            return self._failed(problem)
        if self._failures:
            _log.info("redis_recovered", failures=self._failures)
            self._failures = 0
        if done.next_due_ms is None:
            return self.max_sleep_ms / 1000
        return min(self.max_sleep_ms / 1000, max(0.0, (done.next_due_ms - done.now_ms) / 1000))

    def _failed(self, problem: RfctlError) -> float:
        if not self._failures:
            _log.error(
                "redis_unavailable",
                component="scheduler",
                problem=problem.fact,
                next="waiting for it; nothing is lost",
            )
        self._failures += 1
        return float(min(_BACKOFF_MOST_S, 0.05 * 2 ** min(self._failures, 10)))

    def _report(self, done: HandedOver) -> None:
        for phone, late_ms in done.overdue:
            _log.warning("batch_overdue", phone=phone, late_ms=late_ms)
        if done.clamped:
            _log.warning("due_times_clamped", batches=done.clamped, why="the clock of Redis jumped back")
        if done.batches:
            _log.debug("batches_handed_over", batches=done.batches, messages=done.messages)
