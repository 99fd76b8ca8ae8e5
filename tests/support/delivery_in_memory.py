"""A delivery queue and a sink in memory, for the parts of `delivery` by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from rfctl.model.delivery import Delivery
from rfctl.store import DeliveryQueue, LastAttempt, StreamEntry
from rfctl.store.attempts import UNTIMED


def entry(number: int, phone: str = "") -> StreamEntry:
    """A merged message with its number for a text, and for a phone where none is named."""
    text = b"%d" % number
    return StreamEntry(f"{number}-0", [b"phone", phone.encode() or text, b"text", text])


class FakeQueue(DeliveryQueue):
    """A queue in memory. `pauses` is open while pauses can be stored; `reads` while the pause is answered.

    `has_lease` is false when another daemon has the lease.
    """

    def __init__(
        self, *, unacknowledged: Sequence[StreamEntry] = (), unread: Sequence[StreamEntry] = ()
    ) -> None:
        self.sink = "bot"
        self.instance_id = "redis"
        self.pending, self.new = list(unacknowledged), list(unread)
        self.pauses, self.reads = asyncio.Event(), asyncio.Event()
        self.pauses.set()
        self.reads.set()
        self.problems: dict[str, list[Exception]] = {}
        self.retried = 0
        self.has_lease = True
        self.pause_was_read = False
        self.has_pause = False
        self.reading = self.pausing = False
        self.put_back: list[str] = []
        self.acknowledged: list[str] = []

    async def open(self, longest_wait_ms: int | None = None) -> None:
        self._fail("open")

    def _fail(self, verb: str) -> None:
        if self.problems.get(verb):
            raise self.problems[verb].pop()

    async def retry_now(self, *, fixed_too: bool = True) -> int:
        self._fail("retry_now")
        self.retried += 1
        return 0

    async def lease(self, daemon_id: str, ms: int) -> bool:
        return self.has_lease

    async def is_paused(self) -> bool:
        has_pause, self.reading = self.has_pause, True
        await self.reads.wait()
        self.reading, self.pause_was_read = False, True
        return has_pause

    async def pause(self, why: str, number: int) -> None:
        self.pausing = True
        self._fail("pause")
        await self.pauses.wait()
        self.has_pause = True

    async def read_unacknowledged(self, after: str, limit: int, daemon_id: str) -> list[StreamEntry] | None:
        entries, self.pending = self.pending, []
        return entries

    async def read_new(self, limit: int, block_ms: int, daemon_id: str) -> list[StreamEntry] | None:
        await asyncio.sleep(0)  # like a read, it lets others run
        entries, self.new = self.new, []
        return entries

    async def find_due(self, limit: int) -> tuple[list[str], int | None]:
        return [], None

    async def defer(self, entries: Sequence[StreamEntry]) -> list[bool]:
        return [False for _ in entries]

    async def schedule_retry(
        self,
        batch_key: str,
        ids: Sequence[str],
        *,
        wait_ms: int,
        error: str = "",
        attempts: int = 0,
        fixed: bool = False,
    ) -> None:
        self.put_back += ids

    async def acknowledge(self, batch_key: str, entry_id: str, last: LastAttempt = UNTIMED) -> str:
        self.acknowledged.append(entry_id)
        return ""


class TakingSink:
    """Takes everything; `texts` are the messages that it was given."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def deliver(self, delivery: Delivery) -> None:
        self.texts.append(delivery.merged.text)
