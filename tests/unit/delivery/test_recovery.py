"""How a forwarder reads again what is unacknowledged: page by page, through failures, while phones that are due go on."""

from __future__ import annotations

import pytest

from rfctl.delivery import RetryPolicy
from rfctl.delivery.forwarder import Forwarder
from rfctl.errors import RedisUnreachableError
from rfctl.store import LastAttempt, StreamEntry
from rfctl.store.attempts import UNTIMED
from tests.support.delivery_in_memory import FakeQueue, TakingSink, entry
from tests.support.waiting import until

POLICY = RetryPolicy(retry_delays_ms=(60_000,), concurrency=4, max_sleep_ms=1, lease_ms=60_000)
CUT = RedisUnreachableError("cut")


class PagedQueue(FakeQueue):
    """Reads one unacknowledged entry at a time. `waiting` has what waits in Redis, by phone, and is due."""

    def __init__(self, entries: list[StreamEntry], waiting: dict[str, list[StreamEntry]]) -> None:
        super().__init__(unread=[])
        self.entries = {entry.id: entry for entry in entries}
        self.waiting = {phone: [entry.id for entry in entries] for phone, entries in waiting.items()}
        self.asked_after: list[str] = []

    def _unacknowledged(self) -> list[StreamEntry]:
        return [
            self.entries[entry_id] for entry_id in sorted(self.entries) if entry_id not in self.acknowledged
        ]

    async def read_unacknowledged(self, after: str, limit: int, daemon_id: str) -> list[StreamEntry] | None:
        self.asked_after.append(after)
        self._fail("read_unacknowledged")
        return [entry for entry in self._unacknowledged() if entry.id > after][:1]

    async def read_new(self, limit: int, block_ms: int, daemon_id: str) -> list[StreamEntry] | None:
        entries = await super().read_new(limit, block_ms, daemon_id)
        self._fail("read_new")
        return entries

    async def find_due(self, limit: int) -> tuple[list[str], int | None]:
        return [phone for phone, ids in self.waiting.items() if ids], None

    async def defer(self, entries: list[StreamEntry]) -> list[bool]:  # type: ignore[override]
        answers = []
        for item in entries:
            line = self.waiting.get(item.phone, [])
            answers.append(bool(line))
            if line:
                self.waiting[item.phone] = sorted({*line, item.id})
        return answers

    async def find_first_due(self, batch_key: str) -> str:
        return next(iter(self.waiting[batch_key]), "")

    async def fetch_within(self, room_bytes: int, entry_id: str, batch_key: str = "") -> StreamEntry | None:
        return self.entries[entry_id]

    async def acknowledge(self, batch_key: str, entry_id: str, last: LastAttempt = UNTIMED) -> str:
        await super().acknowledge(batch_key, entry_id, last)
        line = self.waiting.get(batch_key, [])
        line[:] = [waiting for waiting in line if waiting != entry_id]
        return next(iter(line), "")


async def take_turns(forwarder: Forwarder, turns: int) -> None:
    for _ in range(turns):
        await forwarder.step()


async def test_after_a_failed_read_everything_is_read_again_and_delivered_once() -> None:
    """After a failover there may be more than before, also older entries."""
    queue, sink = PagedQueue([entry(n) for n in (1, 2, 3)], {}), TakingSink()
    forwarder = Forwarder(queue, sink, POLICY, "daemon")
    await forwarder.step()
    queue.problems = {"read_unacknowledged": [CUT]}
    with pytest.raises(RedisUnreachableError):
        await forwarder.step()
    queue.asked_after.clear()
    while len(queue.acknowledged) < 3:
        await forwarder.step()
    assert sink.texts == ["1", "2", "3"]
    assert queue.asked_after[0] == "0-0"


async def test_phone_that_is_due_goes_on_before_later_pages_are_read() -> None:
    first, second = entry(1, "waits"), entry(2, "other")
    queue, sink = PagedQueue([first, second], {"waits": [first]}), TakingSink()
    forwarder = Forwarder(queue, sink, POLICY, "daemon")
    await forwarder.step()
    await until(lambda: sink.texts == ["1"])
    queue.problems = {"read_unacknowledged": [CUT]}
    with pytest.raises(RedisUnreachableError):
        await forwarder.step()
    assert queue.asked_after == ["0-0", "1-0"]


async def test_message_that_waits_overtakes_none_that_is_not_read_yet() -> None:
    other, unread, later = entry(1, "other"), entry(2, "waits"), entry(3, "waits")
    queue, sink = PagedQueue([other, unread, later], {"waits": [later]}), TakingSink()
    forwarder = Forwarder(queue, sink, POLICY, "daemon")
    await forwarder.step()
    await until(lambda: sink.texts == ["1"])
    await take_turns(forwarder, 4)
    await until(lambda: len(queue.acknowledged) == 3)
    assert sink.texts == ["1", "2", "3"]


async def test_answer_of_a_read_that_was_lost_is_read_again() -> None:
    queue, sink = PagedQueue([], {}), TakingSink()
    forwarder = Forwarder(queue, sink, POLICY, "daemon")
    queue.entries = {"1-0": entry(1)}
    await take_turns(forwarder, 2)
    await until(lambda: queue.acknowledged == ["1-0"])
    queue.new, queue.problems = [entry(2)], {"read_new": [CUT]}
    with pytest.raises(RedisUnreachableError):
        await forwarder.step()
    queue.entries["2-0"] = entry(2)
    queue.asked_after.clear()
    await take_turns(forwarder, 2)
    await until(lambda: queue.acknowledged == ["1-0", "2-0"])
    assert sink.texts == ["1", "2"]
    assert queue.asked_after == ["0-0", "2-0"]
