"""The queues of phones on a stand-in queue: what starts without the lease, who overtakes whom, and bytes in hand."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from rfctl.delivery import RetryPolicy
from rfctl.delivery.budget import ByteBudget
from rfctl.delivery.phone_queues import PhoneQueues
from rfctl.delivery.state import LeaseLost, Report, SinkState
from rfctl.model.delivery import Delivery
from rfctl.sinks.contract import DeliveryError
from rfctl.store import StreamEntry
from tests.support.delivery_in_memory import FakeQueue, TakingSink, entry
from tests.support.waiting import until

POLICY = RetryPolicy(retry_delays_ms=(60_000,), concurrency=1)


class GatedSink(TakingSink):
    """Takes each message when its gate is open; `fails` are the texts that it refuses then."""

    def __init__(self, fails: Sequence[str] = ()) -> None:
        super().__init__()
        self.gates: dict[str, asyncio.Event] = {}
        self.fails = fails

    def gate(self, text: str) -> asyncio.Event:
        return self.gates.setdefault(text, asyncio.Event())

    async def deliver(self, delivery: Delivery) -> None:
        text = delivery.merged.text
        await super().deliver(delivery)
        await self.gate(text).wait()
        if text in self.fails:
            raise DeliveryError("no")


class Rig:
    """The queues of one sink, whose state is the test's. `reports` is what they report."""

    def __init__(self, queue: FakeQueue, sink: TakingSink, policy: RetryPolicy = POLICY) -> None:
        self.state = SinkState(leased=True)
        self.reports: list[Report] = []
        self.budget = ByteBudget()
        self.queues = PhoneQueues(queue, sink, policy, lambda: self.state, self._report, self.budget)

    async def _report(self, report: Report) -> None:
        self.reports.append(report)


async def let_others_run() -> None:
    """Let every task go on as far as it can without an event."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_queue_that_waited_for_its_slot_starts_nothing_without_the_lease() -> None:
    queue, sink = FakeQueue(), GatedSink()
    rig = Rig(queue, sink)
    await rig.queues.enqueue([entry(1), entry(2)])
    await until(lambda: sink.texts == ["1"])
    await let_others_run()
    rig.state = SinkState(leased=False)
    sink.gate("1").set()
    sink.gate("2").set()
    await until(lambda: not len(rig.queues))
    assert sink.texts == ["1"]
    assert rig.reports == [LeaseLost(), LeaseLost()]
    assert queue.acknowledged == []


class SlowQueue(FakeQueue):
    """Stores what is put back when `stores` is set; what comes then waits behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.stores, self.is_asked = asyncio.Event(), asyncio.Event()

    async def schedule_retry(self, batch_key: str, ids: Sequence[str], **how: Any) -> None:
        self.is_asked.set()
        await self.stores.wait()
        await super().schedule_retry(batch_key, ids, **how)

    async def defer(self, entries: Sequence[StreamEntry]) -> list[bool]:
        waits = bool(self.put_back)
        self.put_back += [each.id for each in entries if waits]
        return [waits for _ in entries]


async def test_new_message_never_overtakes_those_that_are_put_back() -> None:
    queue, sink = SlowQueue(), GatedSink(fails=["1"])
    rig = Rig(queue, sink)
    await rig.queues.enqueue([entry(1, "7"), entry(2, "7")])
    sink.gate("1").set()
    await queue.is_asked.wait()
    adding = asyncio.create_task(rig.queues.enqueue([entry(3, "7")]))
    await let_others_run()
    queue.stores.set()
    await adding
    await until(lambda: not len(rig.queues))
    assert queue.put_back == ["1-0", "2-0", "3-0"], "all wait in Redis, in their order"
    assert sink.texts == ["1"]


async def test_cancelled_queue_gives_its_bytes_back() -> None:
    rig = Rig(FakeQueue(), GatedSink())
    await rig.queues.enqueue([entry(1, "7"), entry(2, "7"), entry(3, "8")])
    await let_others_run()
    assert rig.budget.bytes == sum(entry(number, "7").size for number in (1, 2, 3))
    rig.queues.cancel_all()
    await let_others_run()
    assert rig.budget.bytes == 0


async def test_delivered_message_gives_its_bytes_back_at_once() -> None:
    queue, sink = FakeQueue(), GatedSink()
    rig = Rig(queue, sink)
    await rig.queues.enqueue([entry(1, "7"), entry(2, "7")])
    sink.gate("1").set()
    await until(lambda: sink.texts == ["1", "2"])
    assert rig.budget.bytes == entry(2, "7").size
    sink.gate("2").set()
    await until(lambda: not len(rig.queues))
    assert (rig.budget.bytes, queue.acknowledged) == (0, ["1-0", "2-0"])


@pytest.mark.parametrize("fails", [[], ["1"]])
async def test_queue_that_ends_leaves_no_bytes(fails: list[str]) -> None:
    sink = GatedSink(fails)
    rig = Rig(FakeQueue(), sink)
    await rig.queues.enqueue([entry(1, "7"), entry(2, "7")])
    for text in ("1", "2"):
        sink.gate(text).set()
    await until(lambda: not len(rig.queues))
    await let_others_run()
    assert rig.budget.bytes == 0


async def test_what_a_deep_queue_has_no_room_for_waits_in_redis() -> None:
    queue, sink = FakeQueue(), GatedSink()
    rig = Rig(queue, sink)
    await rig.queues.enqueue([entry(number, "7") for number in range(1, 13)])
    assert queue.put_back == ["9-0", "10-0", "11-0", "12-0"]
    rig.queues.cancel_all()
    await let_others_run()
