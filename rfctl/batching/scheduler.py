"""The loop that hands over: sleep until the next batch is due, then hand over every due batch.

`step()` is one turn and can be called alone; which calls it makes is decided by `Turn`. Several schedulers may run on
one Redis, and one makes several calls at once: the script hands each batch over once, whoever asks. The loop wakes at the
due time that it knows, and at the latest every `max_sleep_ms`: another daemon may have opened a batch meanwhile that is
due earlier.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection

import structlog

from rfctl.batching.batcher import Batcher
from rfctl.batching.turn import Call, Turn
from rfctl.batching.turn_counts import TurnCounts
from rfctl.errors import RfctlError
from rfctl.model.stored import HandedOver
from rfctl.timing import sleep_or_stop

_log = structlog.get_logger("batching")
_MAX_BACKOFF_S = 2.0


class Scheduler:
    """Hands over due batches.

    `on_turn` is called after each call, `on_failure` after a turn that Redis did not serve. `clock` counts
    seconds.
    """

    def __init__(
        self,
        batcher: Batcher,
        *,
        max_sleep_ms: int,
        on_turn: Callable[[], None] = lambda: None,
        on_failure: Callable[[RfctlError], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._batcher = batcher
        self._max_sleep_ms = max_sleep_ms
        self._on_turn = on_turn
        self._report_failure = on_failure
        self._clock = clock
        self._woken = asyncio.Event()
        self._asleep_until = 0.0
        self._failures = 0
        self.counts = TurnCounts()
        """What its calls have done so far."""

    def reconfigure(self, *, max_sleep_ms: int) -> None:
        """Sleep no longer than this from the next turn on."""
        self._max_sleep_ms = max_sleep_ms

    async def step(self) -> HandedOver:
        """Hand over everything that is due now, in short calls. Returns the last result of each shard, as one.

        Raises RfctlError, once every other call that was on its way has ended.
        """
        turn, failures = Turn(self._batcher.shard_count), list[BaseException]()
        flying: dict[asyncio.Task[HandedOver], tuple[Call, float]] = {}
        try:
            while self._start_calls(turn, flying):
                ended, _ = await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED)
                failures += [
                    problem for task in ended if (problem := self._end_call(turn, *flying.pop(task), task))
                ]
        finally:
            await _cancel(flying)
        if failures:  # a bug before what Redis did not serve: that is tried again, and would hide it
            raise next((problem for problem in failures if not isinstance(problem, RfctlError)), failures[0])
        return turn.sum_up()

    def _start_calls(self, turn: Turn, flying: dict[asyncio.Task[HandedOver], tuple[Call, float]]) -> bool:
        """Start what the turn wants to be called; says whether any call is on its way."""
        while call := turn.next_call():
            task = asyncio.create_task(self._batcher.hand_over(call.shard, call.end))
            flying[task] = call, self._clock()
        return bool(flying)

    def _end_call(
        self, turn: Turn, call: Call, began_at: float, task: asyncio.Task[HandedOver]
    ) -> BaseException | None:
        """Note how a call has ended that began at this time of the clock; returns its failure."""
        if problem := task.exception():
            turn.record_failure(call)
            return problem
        turn.record_answer(call, task.result())
        self.counts.add(task.result(), self._clock() - began_at)
        _log_turn(task.result())
        self._on_turn()
        return None

    def wake_for(self, due_in_ms: int) -> None:
        """End the sleep if a batch that is due in so many ms would be late otherwise."""
        if self._clock() + due_in_ms / 1000 < self._asleep_until:
            self._woken.set()

    def wake(self) -> None:
        """End the sleep now."""
        self._woken.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Take turns until `stopping` is set and `wake` was called. A call that is on its way is never cut off."""
        while not stopping.is_set():
            self._woken.clear()
            began = self._clock()
            self._asleep_until = began + await self._turn()
            await sleep_or_stop(self._woken, self._asleep_until - self._clock())

    async def _turn(self) -> float:
        """Take one turn and return how long to sleep, s."""
        try:
            handed_over = await self.step()
        except RfctlError as problem:
            self._report_failure(problem)
            return self._on_failure(problem)
        if self._failures:
            _log.info("redis_recovered", failures=self._failures)
            self._failures = 0
        max_sleep_s = self._max_sleep_ms / 1000
        if handed_over.next_due_ms is None:
            return max_sleep_s
        return min(max_sleep_s, max(0.0, (handed_over.next_due_ms - handed_over.now_ms) / 1000))

    def _on_failure(self, problem: RfctlError) -> float:
        if not self._failures:
            _log.error(
                "redis_unavailable",
                component="scheduler",
                problem=problem.fact,
                next="waiting for it; nothing is lost",
            )
        self._failures += 1
        return float(min(_MAX_BACKOFF_S, 0.05 * 2 ** min(self._failures, 10)))


async def _cancel(tasks: Collection[asyncio.Task[HandedOver]]) -> None:
    """Cut calls off; there are some only where the turn itself was cut off."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _log_turn(handed_over: HandedOver) -> None:
    if handed_over.overdue:  # a line a call: behind a backlog, a line a batch would cost more than the batch
        phone, late_ms = handed_over.latest
        _log.warning("batch_overdue", phone=phone, late_ms=late_ms, batches=handed_over.overdue)
    if handed_over.clamped:
        _log.warning("due_times_clamped", batches=handed_over.clamped, why="the clock of Redis jumped back")
    if handed_over.set_aside:
        _log.error(
            "batch_set_aside", batches=handed_over.set_aside, next="it is tried again; rfctl stats says why"
        )
    if handed_over.batches:
        _log.debug("batches_handed_over", batches=handed_over.batches, messages=handed_over.messages)
