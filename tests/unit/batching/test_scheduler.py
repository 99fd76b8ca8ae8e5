"""When the scheduler sleeps and wakes, on a stand-in batcher and a clock of the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from rfctl.batching import Batcher, Scheduler
from rfctl.errors import RedisUnreachableError
from rfctl.model.closed_sets import DueEnd
from rfctl.model.stored import HandedOver
from tests.support.waiting import until

IDLE = HandedOver(0, 0, None, 0, 0, False)
MORE = HandedOver(16, 16, 1, 1, 0, True)


class FakeBatcher(Batcher):
    """Returns or raises the planned results in turn, then `IDLE`. While `gate` is closed, calls stay on their way."""

    def __init__(self, *results: HandedOver | Exception, shards: int = 1) -> None:
        self.results = list(results)
        self.shards = shards
        self.turns = 0
        self.ends: list[DueEnd] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.flying = 0
        self.cut_off = 0

    @property
    def shard_count(self) -> int:
        return self.shards

    async def hand_over(self, shard: int = 0, end: DueEnd = "oldest") -> HandedOver:
        self.turns += 1
        self.ends.append(end)
        result = self.results.pop(0) if self.results else IDLE
        self.flying += 1
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cut_off += 1
            raise
        finally:
            self.flying -= 1
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
    await run_loop()
    yield run
    await run.stop()


async def run_loop() -> None:
    """Let every task go on until it waits."""
    for _ in range(20):
        await asyncio.sleep(0)


async def start_backlog(
    *results: HandedOver | Exception,
) -> tuple[FakeBatcher, Scheduler, asyncio.Task[HandedOver]]:
    """A turn whose first call has found more, and whose next calls are on their way."""
    batcher = FakeBatcher(MORE, *results)
    scheduler = Scheduler(batcher, max_sleep_ms=1)
    batcher.gate.clear()
    step = asyncio.create_task(scheduler.step())
    await run_loop()
    batcher.gate.set()
    await asyncio.sleep(0)
    batcher.gate.clear()
    await run_loop()
    return batcher, scheduler, step


async def test_scheduler_wakes_for_a_batch_that_is_due_before_the_end_of_its_sleep(run: Run) -> None:
    run.scheduler.wake_for(3_599_999)
    await until(lambda: run.batcher.turns == 2)


async def test_scheduler_sleeps_on_for_a_batch_that_is_due_later(run: Run) -> None:
    run.scheduler.wake_for(3_600_000)
    await run_loop()
    assert run.batcher.turns == 1


async def test_reconfigured_scheduler_sleeps_no_longer_than_the_new_limit(run: Run) -> None:
    run.scheduler.reconfigure(max_sleep_ms=1)
    run.scheduler.wake()
    await until(lambda: run.batcher.turns >= 4)


async def test_scheduler_repeats_the_call_while_more_is_due() -> None:
    batcher = FakeBatcher(*[MORE] * 30)
    assert await Scheduler(batcher, max_sleep_ms=1).step() == IDLE
    assert batcher.results == []


async def test_scheduler_makes_a_single_call_where_nothing_is_left() -> None:
    batcher = FakeBatcher(shards=3)
    await Scheduler(batcher, max_sleep_ms=1).step()
    assert batcher.ends == ["oldest"] * 3


async def test_four_calls_are_on_their_way_behind_a_backlog_and_half_begin_at_the_newest() -> None:
    batcher, _, step = await start_backlog(*[MORE] * 10)
    assert batcher.flying == 4
    assert sorted(batcher.ends[1:]) == ["newest", "newest", "oldest", "oldest"]
    batcher.gate.set()
    assert await step == IDLE


async def test_scheduler_tells_of_each_call_that_was_answered() -> None:
    answered: list[int] = []
    batcher = FakeBatcher(MORE, MORE)
    await Scheduler(batcher, max_sleep_ms=1, on_turn=lambda: answered.append(1)).step()
    assert len(answered) == batcher.turns


async def test_failure_of_a_call_lets_the_others_end_and_starts_none() -> None:
    batcher, _, step = await start_backlog(RedisUnreachableError("cut"), *[MORE] * 10)
    batcher.gate.set()
    with pytest.raises(RedisUnreachableError, match="cut"):
        await step
    assert (batcher.turns, batcher.flying, batcher.cut_off) == (5, 0, 0)


async def test_bug_in_a_call_is_raised_when_the_others_have_ended() -> None:
    batcher, _, step = await start_backlog(ZeroDivisionError(), RedisUnreachableError("cut"))
    batcher.gate.set()
    with pytest.raises(ZeroDivisionError):
        await step
    assert (batcher.flying, batcher.cut_off) == (0, 0)


async def test_turn_that_is_cut_off_leaves_no_call_behind() -> None:
    batcher, _, step = await start_backlog()
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
    assert (batcher.flying, batcher.cut_off) == (0, 4)


async def test_stop_cuts_off_no_call_on_its_way() -> None:
    batcher = FakeBatcher(MORE, MORE)
    batcher.gate.clear()
    run = Run(batcher)
    await until(lambda: batcher.flying == 1)
    run.stopping.set()
    run.scheduler.wake()
    await run_loop()
    assert not run.task.done()
    batcher.gate.set()
    await run.task
    assert (batcher.flying, batcher.cut_off) == (0, 0)


async def test_scheduler_logs_an_outage_of_redis_once_and_its_end() -> None:
    batcher = FakeBatcher(RedisUnreachableError("cut"), RedisUnreachableError("cut"))
    with capture_logs() as lines:
        run = Run(batcher)
        await until(lambda: batcher.turns == 3)
        await run_loop()
        await run.stop()
    assert [(line["event"], line.get("component"), line.get("failures")) for line in lines] == [
        ("redis_unavailable", "scheduler", None),
        ("redis_recovered", None, 2),
    ]


async def test_overdue_batches_of_a_call_are_a_line_of_the_log() -> None:
    late = HandedOver(16, 16, None, 1, 0, False, overdue=3, latest=("8", 12_000))
    with capture_logs() as logs:
        await Scheduler(FakeBatcher(late), max_sleep_ms=1).step()
    assert [line for line in logs if line["event"] == "batch_overdue"] == [
        {"event": "batch_overdue", "log_level": "warning", "phone": "8", "late_ms": 12_000, "batches": 3}
    ]


async def test_calls_are_counted_with_what_they_did_and_how_long_they_took() -> None:
    batcher = FakeBatcher(
        HandedOver(3, 7, None, 5, 1, False, overdue=2, latest=("8", 1200), set_aside=2),
        RedisUnreachableError("away"),
    )
    times = iter([10.0, 10.3, 20.0])
    scheduler = Scheduler(batcher, max_sleep_ms=1000, clock=lambda: next(times))
    await scheduler.step()
    with pytest.raises(RedisUnreachableError):
        await scheduler.step()
    counts = scheduler.counts
    assert (counts.batches, counts.messages, counts.overdue, counts.clamped, counts.set_aside) == (
        3,
        7,
        2,
        1,
        2,
    )
    below, above = [dict(counts.call_seconds.accumulate())[bound] for bound in (0.2, 0.5)]
    assert (below, above, round(counts.call_seconds.total, 3)) == (0, 1, 0.3)
