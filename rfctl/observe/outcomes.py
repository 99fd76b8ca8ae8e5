"""What the delivery log has, as events: how deliveries ended, and what rules dropped.

No delivery does more because somebody watches.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

import msgspec

from rfctl.errors import RfctlError
from rfctl.store import DeliveryOutcome, LoggedDelivery, ShardKeys, Store
from rfctl.store.stream_entry import parse_entry_id

LAST = 2**64 - 1
"""The highest number of an id within a millisecond."""
_PAUSE_S = 0.2
Item = TypeVar("Item")
Other = TypeVar("Other")


class DeliveryEnded(msgspec.Struct, frozen=True):
    """A merged message's way to a sink has ended. `id` is the message's, `phone` "" where nobody knows it.

    `attempts` counts all attempts. `took_ms` is how long the last one took; None if nobody timed it.
    """

    id: str
    phone: str
    sink: str
    outcome: DeliveryOutcome
    attempts: int
    took_ms: int | None
    at_ms: int


class MessageDropped(msgspec.Struct, frozen=True):
    """A rule dropped a message before it was in any batch. `id` is the provider's."""

    id: str
    phone: str
    rule: str
    at_ms: int


LoggedEvent = DeliveryEnded | MessageDropped


class Outcomes:
    """The outcomes behind these entries of the delivery log; each `read` goes on where the last one ended."""

    def __init__(self, store: Store, last_ids: dict[ShardKeys, str]) -> None:
        self._log = store.delivery_log
        self._first_ids, self._last_ids = dict(last_ids), last_ids

    @classmethod
    async def from_now_on(cls, store: Store) -> Outcomes:
        """Return those that are still to come. Raises RfctlError."""
        return cls(store, await store.delivery_log.find_last_ids())

    @classmethod
    def since(cls, store: Store, since_ms: int) -> Outcomes:
        """Return those since a time by the server's clock (Unix ms)."""
        return cls(store, dict.fromkeys(store.shards, f"{max(0, since_ms - 1)}-{LAST}"))

    def from_earlier(self, store: Store, since_ms: int) -> Outcomes:
        """Return those since a time that may be before what was read last, but none before the first of these."""
        earlier = f"{max(0, since_ms - 1)}-{LAST}"
        return Outcomes(
            store,
            {shard: max(earlier, first, key=parse_entry_id) for shard, first in self._first_ids.items()},
        )

    @property
    def last_ms(self) -> int:
        """When the last outcome that was read came in, Unix ms by the server's clock."""
        return max(int(entry_id.partition("-")[0]) for entry_id in self._last_ids.values())

    async def read(self) -> AsyncIterator[LoggedEvent]:
        """Yield what is there, in the order of time. Raises RfctlError."""
        while outcomes := await self._log.read_after(self._last_ids):
            for outcome in outcomes:
                yield _as_event(outcome)

    async def follow(self) -> AsyncGenerator[LoggedEvent]:
        """Yield what is there and what comes, without an end. Raises RfctlError when Redis goes away."""
        while True:
            async for outcome in self.read():
                yield outcome
            await asyncio.sleep(_PAUSE_S)


def _as_event(logged: LoggedDelivery) -> LoggedEvent:
    if logged.rule:
        return MessageDropped(logged.id, logged.phone, logged.rule, logged.at_ms)
    return DeliveryEnded(
        logged.id, logged.phone, logged.sink, logged.outcome, logged.attempts, logged.took_ms, logged.at_ms
    )


async def join(events: AsyncGenerator[Item], others: AsyncGenerator[Other]) -> AsyncGenerator[Item | Other]:
    """Yield what comes from either, `events` first where both have something. Raises what either raises."""
    coming: dict[int, asyncio.Future[Item | Other]] = {}
    sources: tuple[AsyncGenerator[Item | Other], ...] = (events, others)
    try:
        while True:
            for place, source in enumerate(sources):
                if place not in coming:
                    coming[place] = asyncio.ensure_future(anext(source))
            await asyncio.wait(coming.values(), return_when=asyncio.FIRST_COMPLETED)
            for place in range(len(sources)):
                if coming[place].done():
                    yield coming.pop(place).result()
                    break
    finally:
        for waiting in coming.values():
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration, RfctlError):
                await waiting
        for source in sources:
            await source.aclose()
