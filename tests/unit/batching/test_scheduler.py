"""When the scheduler sleeps and wakes, on a stand-in batcher and a clock of the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from rfctl.batching import Batcher, Scheduler
from rfctl.errors import RedisUnreachableError
from rfctl.model.stored import HandedOver
from tests.support.waiting import until

IDLE = HandedOver(0, 0, None, 0, 0, False, [])


class FakeBatcher(Batcher):
    """Returns or raises the planned results in turn, then `IDLE`."""

    def __init__(self, *results: HandedOver | Exception) -> None:
        self.results = list(results)
        self.turns = 0

    async def hand_over(self, *, limit: int = 100) -> HandedOver:
        self.turns += 1
        result = self.results.pop(0) if self.results else IDLE
        if isinstance(result, Exception):
            raise result
        return result


class Run:
    """A scheduler that runs with an hour of sleep, so that only a due time or a call wakes it."""

    def __init__(self, batcher: FakeBatcher) -> None:
        self.batcher = batcher
        self.scheduler = Scheduler(batcher, max_sleep_ms=3_600_000, clock=lambda: 100.0)
        self.stopping = asyncio.Event()
        self.task = asyncio.create_task(self.scheduler.run(self.stopping))

    async def stop(self) -> None:
        self.stopping.set()
        self.scheduler.wake()
        await self.task


@pytest.fixture
async def run() -> AsyncIterator[Run]:
    run = Run(FakeBatcher())
    await until(lambda: run.batcher.turns == 1)
    yield run
    await run.stop()


async def test_scheduler_wakes_for_a_batch_that_is_due_before_the_end_of_its_sleep(run: Run) -> None:
    run.scheduler.wake_for(3_599_999)
    await until(lambda: run.batcher.turns == 2)


async def test_scheduler_sleeps_on_for_a_batch_that_is_due_later(run: Run) -> None:
    run.scheduler.wake_for(3_600_000)
    for _ in range(10):
        await asyncio.sleep(0)
    assert run.batcher.turns == 1


async def test_reconfigured_scheduler_sleeps_no_longer_than_the_new_limit(run: Run) -> None:
    run.scheduler.reconfigure(max_sleep_ms=1)
    run.scheduler.wake()
    await until(lambda: run.batcher.turns >= 4)


async def test_scheduler_repeats_the_call_while_more_is_due() -> None:
    batcher = FakeBatcher(*[HandedOver(100, 100, 1, 1, 0, True, [])] * 3)
    assert await Scheduler(batcher, max_sleep_ms=1).step() == IDLE
    assert batcher.turns == 4


async def test_scheduler_logs_an_outage_of_redis_once_and_its_end() -> None:
    batcher = FakeBatcher(RedisUnreachableError("cut"), RedisUnreachableError("cut"))
    with capture_logs() as lines:
        run = Run(batcher)
        await until(lambda: batcher.turns == 3)
        await run.stop()
    assert [(line["event"], line.get("component"), line.get("failures")) for line in lines] == [
        ("redis_unavailable", "scheduler", None),
        ("redis_recovered", None, 2),
    ]
