"""The forwarder's turns on a stand-in queue, whose answers come when the test decides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from rfctl.delivery import RetryPolicy
from rfctl.delivery.forwarder import Forwarder
from rfctl.errors import RedisUnreachableError, ReplyError
from rfctl.model.delivery import Delivery
from rfctl.sinks.contract import DeliveryError
from rfctl.store import LastAttempt
from rfctl.store.attempts import UNTIMED
from tests.support.delivery_in_memory import FakeQueue, TakingSink, entry
from tests.support.waiting import until

POLICY = RetryPolicy(retry_delays_ms=(60_000,), concurrency=2, max_sleep_ms=1, lease_ms=60_000)


class GoneSink(TakingSink):
    """Takes message 1 when `takes` is set, and wants nothing any more when `is_gone` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.takes, self.is_gone = asyncio.Event(), asyncio.Event()

    async def deliver(self, delivery: Delivery) -> None:
        await super().deliver(delivery)
        if delivery.merged.text == "1":
            await self.takes.wait()
        else:
            await self.is_gone.wait()
            raise DeliveryError("410 Gone", pause=True)


async def begin_two_of_three(queue: FakeQueue, sink: GoneSink) -> Forwarder:
    """Return a forwarder with messages 0 and 1 at the sink, while 2 waits for a slot."""
    queue.new = [entry(n) for n in range(3)]
    forwarder = Forwarder(queue, sink, POLICY, "daemon")
    await forwarder.step()
    await forwarder.step()
    await until(lambda: sink.texts == ["0", "1"])
    return forwarder


async def test_pause_on_its_way_to_redis_counts_when_redis_does_not_know_it() -> None:
    queue, sink = FakeQueue(), GoneSink()
    forwarder = await begin_two_of_three(queue, sink)
    queue.pauses.clear()
    sink.is_gone.set()
    await until(lambda: queue.pausing)
    await forwarder.step()
    sink.takes.set()
    await until(lambda: queue.put_back)
    assert (queue.put_back, queue.has_pause) == (["2-0"], False)
    queue.pauses.set()
    await until(lambda: queue.put_back == ["2-0", "0-0"])
    assert (queue.acknowledged, sink.texts) == (["1-0"], ["0", "1"])


async def test_pause_that_is_requested_while_its_absence_is_read_counts() -> None:
    queue, sink = FakeQueue(), GoneSink()
    forwarder = await begin_two_of_three(queue, sink)
    queue.reads.clear()
    turn = asyncio.create_task(forwarder.step())
    await until(lambda: queue.reading)
    sink.is_gone.set()
    sink.takes.set()
    await until(lambda: queue.put_back)
    queue.new = [entry(7)]
    queue.reads.set()
    await turn
    await until(lambda: queue.has_pause)
    await forwarder.step()
    assert sink.texts == ["0", "1"]


async def test_unacknowledged_entries_come_first_also_when_the_first_turn_failed() -> None:
    queue = FakeQueue(unacknowledged=[entry(1)], unread=[entry(2)])
    queue.problems = {"open": [RedisUnreachableError("cut")]}
    sink = TakingSink()
    forwarder = Forwarder(queue, sink, POLICY, "daemon")
    with pytest.raises(RedisUnreachableError):
        await forwarder.step()
    for _ in range(3):
        await forwarder.step()
    await until(lambda: queue.acknowledged == ["1-0", "2-0"])
    assert sink.texts == ["1", "2"]


class CrashingQueue(FakeQueue):
    """Fails with a bug when message 1 is acknowledged; and when it is put back, as often as `refuses` says."""

    refuses = 0

    async def acknowledge(self, batch_key: str, entry_id: str, last: LastAttempt = UNTIMED) -> str:
        if entry_id == "1-0" and "crash" not in self.acknowledged:
            self.acknowledged.append("crash")
            raise ZeroDivisionError("a bug")
        return await super().acknowledge(batch_key, entry_id, last)

    async def schedule_retry(self, batch_key: str, ids: Sequence[str], **how: Any) -> None:
        if self.refuses:
            self.refuses -= 1
            self.pending = [entry(1)]
            raise ReplyError("no", code="ERR")
        await super().schedule_retry(batch_key, ids, **how)


async def run_until(queue: FakeQueue, sink: TakingSink, done: Callable[[], bool]) -> None:
    stopping = asyncio.Event()
    task = asyncio.create_task(Forwarder(queue, sink, POLICY, "daemon").run(stopping))
    await until(done)
    stopping.set()
    await task


async def test_bug_with_one_message_counts_as_its_attempt_and_holds_up_nobody() -> None:
    queue, sink = CrashingQueue(unread=[entry(1), entry(2), entry(3)]), TakingSink()
    await run_until(queue, sink, lambda: len(queue.acknowledged) == 3 and bool(queue.put_back))
    assert queue.put_back == ["1-0"]
    assert sorted(sink.texts) == ["1", "2", "3"]


async def test_queue_whose_failure_cannot_be_stored_starts_everything_over() -> None:
    queue, sink = CrashingQueue(unread=[entry(1)]), TakingSink()
    queue.refuses = 1
    await run_until(queue, sink, lambda: queue.acknowledged == ["crash", "1-0"])
    assert sink.texts == ["1", "1"], "at least once, under the same id"


async def test_pause_that_could_not_be_stored_is_stored_by_a_later_turn() -> None:
    """The receiver says it once; the lease runs out before Redis has it."""
    queue, sink = FakeQueue(), GoneSink()
    sink.is_gone.set()
    queue.problems = {"pause": [RedisUnreachableError("cut"), ReplyError("no", code="ERR")]}
    queue.new = [entry(0)]
    await run_until(queue, sink, lambda: queue.has_pause)
    assert sink.texts == ["0"]


async def test_paused_forwarder_stops_at_once() -> None:
    queue = FakeQueue()
    queue.has_pause = True
    forwarder = Forwarder(queue, TakingSink(), replace(POLICY, max_sleep_ms=3_600_000), "daemon")
    stopping = asyncio.Event()
    task = asyncio.create_task(forwarder.run(stopping))
    await until(lambda: queue.pause_was_read)
    stopping.set()
    await task


@pytest.mark.parametrize("failing", ["open", "retry_now"])
async def test_recovery_is_made_up_for_after_a_call_of_the_take_over_failed(failing: str) -> None:
    queue, sink = FakeQueue(unacknowledged=[entry(1)], unread=[entry(2)]), TakingSink()
    queue.problems = {failing: [RedisUnreachableError("cut"), RedisUnreachableError("cut")]}
    forwarder = Forwarder(queue, sink, POLICY, "daemon", retry_at_start=True)
    for _ in range(2):
        with pytest.raises(RedisUnreachableError):
            await forwarder.step()
    for _ in range(3):
        await forwarder.step()
    await until(lambda: queue.acknowledged == ["1-0", "2-0"])
    assert (sink.texts, queue.retried) == (["1", "2"], 1)


class HeldSink(TakingSink):
    """Takes nothing, for ever; `cancelled` are the messages that it was told to leave."""

    def __init__(self) -> None:
        super().__init__()
        self.cancelled: list[str] = []

    async def deliver(self, delivery: Delivery) -> None:
        await super().deliver(delivery)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.append(delivery.merged.text)
            raise


async def test_lost_lease_ends_what_is_on_its_way() -> None:
    """Another daemon delivers the same messages now: ours must not arrive behind theirs."""
    queue, sink = FakeQueue(unread=[entry(1), entry(2)]), HeldSink()
    forwarder = Forwarder(queue, sink, POLICY, "daemon")
    for _ in range(2):
        await forwarder.step()
    await until(lambda: sink.texts == ["1", "2"])
    queue.has_lease = False
    await forwarder.step()
    assert sorted(sink.cancelled) == ["1", "2"]
    assert (queue.acknowledged, queue.put_back) == ([], [])
