"""Live events: each message that is stored, each merged message, and what became of it before each sink.

The scripts publish the first two, when somebody listens. The third is in the delivery log. Nothing here is needed for a
message to arrive.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import msgspec

from rfctl.model.stored import Merged, StoredMessage, decode_item
from rfctl.observe.outcomes import LAST, DeliveryEnded, LoggedEvent, MessageDropped, Outcomes, join
from rfctl.store import ShardKeys, Store
from rfctl.store.stream_pages import merge


class MessageReceived(msgspec.Struct, frozen=True):
    """A message was stored: its batch now has `size` messages, and is due in `due_in_ms`."""

    phone: str
    at_ms: int
    size: int
    due_in_ms: int
    message: StoredMessage


class BatchHandedOver(msgspec.Struct, frozen=True):
    """A merged message was written to the output stream; or it said nothing and was dropped, then `id` is ""."""

    id: str
    phone: str
    reason: str
    count: int
    waited_ms: int
    late_ms: int
    text: str
    discarded: int = 0
    """How many messages before it a rule has thrown away."""
    left_ms: int = 0

    @property
    def at_ms(self) -> int:
        """When, Unix ms: the time in its id, if it has an id."""
        return int(self.id.partition("-")[0] or self.left_ms)


class HoldChanged(msgspec.Struct, frozen=True):
    """A person on our side has taken over (`held`, until a time, Unix ms), or given back (`released`)."""

    event: str
    phone: str
    until_ms: int
    at_ms: int


PublishedEvent = MessageReceived | BatchHandedOver | HoldChanged
Event = PublishedEvent | LoggedEvent


HOLD_EVENTS = frozenset({"held", "released"})


class _Wire(msgspec.Struct):
    event: str
    phone: str
    id: str = ""
    reason: str = ""
    count: int = 0
    waited_ms: int = 0
    late_ms: int = 0
    discarded: int = 0
    at_ms: int = 0
    text: str = ""
    size: int = 0
    due_in_ms: int = 0
    until_ms: int = 0
    item: msgspec.Raw = msgspec.Raw(b"{}")


_decode = msgspec.json.Decoder(_Wire).decode


def decode_event(raw: bytes) -> PublishedEvent:
    """Read one published event."""
    wire = _decode(raw)
    if wire.event == "in":
        message = decode_item(bytes(wire.item))
        phone = message.phone or wire.phone
        return MessageReceived(phone, message.receivedAt, wire.size, wire.due_in_ms, message)
    if wire.event in HOLD_EVENTS:
        return HoldChanged(wire.event, wire.phone, wire.until_ms, wire.at_ms)
    return BatchHandedOver(
        wire.id, wire.phone, wire.reason, wire.count, wire.waited_ms, wire.late_ms, wire.text, wire.discarded,
        wire.at_ms,
    )  # fmt: skip


def list_events(merged: Merged) -> list[PublishedEvent]:
    """Return the events of a merged message: each of its messages received, then its batch handed over."""
    received: list[PublishedEvent] = [
        MessageReceived(merged.phone, message.receivedAt, place, 0, message)
        for place, message in enumerate(merged.messages, start=1)
    ]
    handed_over = BatchHandedOver(
        merged.id, merged.phone, merged.reason, merged.count, merged.waited_ms, merged.late_ms, merged.text,
        merged.discarded,
    )  # fmt: skip
    return [*received, handed_over]


class PastEvents:
    """The events behind the merged messages since a time (Unix ms); each `read` goes on where the last one ended."""

    def __init__(self, store: Store, since_ms: int) -> None:
        self._store = store
        self._last_ids = dict.fromkeys(store.shards, f"{max(0, since_ms - 1)}-{LAST}")

    async def read(self) -> AsyncIterator[PublishedEvent]:
        """Yield the events in the order of the hand-overs, and before each those of its own messages.

        So no more than a page is in memory. Raises RfctlError.
        """
        shards = [self._read_on(shard) for shard in self._last_ids]
        async for merged in merge(shards, lambda merged: merged.handed_ms):
            for event in list_events(merged):
                yield event

    async def _read_on(self, shard: ShardKeys) -> AsyncIterator[Merged]:
        async for merged in self._store.output.read_on(shard, self._last_ids[shard]):
            self._last_ids[shard] = merged.id
            yield merged


async def follow_on(
    store: Store, since_ms: int, subscribed: asyncio.Event, outcomes: Outcomes
) -> AsyncGenerator[Event]:
    """Yield the events since then (Unix ms), and without a gap or a repeat those that come live.

    `outcomes` are those since then. `subscribed` is set once none can be missed any more. Raises RfctlError when Redis
    goes away.
    """
    past = PastEvents(store, since_ms)
    sources: list[AsyncIterator[Event]] = [past.read(), outcomes.read()]
    async for event in merge(sources, lambda event: event.at_ms):
        yield event
    async for event in join(_go_on(store, past, subscribed), outcomes.follow()):
        yield event


async def _go_on(store: Store, past: PastEvents, subscribed: asyncio.Event) -> AsyncGenerator[PublishedEvent]:
    """Yield what is published from now on, and before it what was handed over until somebody listened."""
    listening = asyncio.Event()  # `subscribed` may be set from an earlier time
    live = follow_events(store, listening)
    first = asyncio.ensure_future(anext(live))
    waiting = asyncio.create_task(listening.wait())
    try:
        await asyncio.wait([first, waiting], return_when=asyncio.FIRST_COMPLETED)
        if listening.is_set():
            subscribed.set()
        seen = set()
        async for event in past.read():
            seen.add(identify(event))
            yield event
        event = await first
        while True:
            if identify(event) not in seen:
                yield event
            event = await anext(live)
    finally:
        waiting.cancel()
        first.cancel()


async def follow_live(store: Store, subscribed: asyncio.Event, outcomes: Outcomes) -> AsyncGenerator[Event]:
    """Yield the events from now on, with these outcomes; sets `subscribed` as `follow_events`. Raises as that."""
    async for event in join(follow_events(store, subscribed), outcomes.follow()):
        yield event


def identify(event: Event) -> tuple[str, str, str]:
    """Return by what two events are known to be the same; a batch that was dropped has its time for an id."""
    if isinstance(event, DeliveryEnded):
        return event.sink, f"{event.id} {event.outcome} {event.at_ms}", "ended"
    if isinstance(event, MessageDropped):
        return event.phone, f"{event.id} {event.at_ms}", "dropped"
    if isinstance(event, BatchHandedOver):
        return event.phone, event.id or str(event.at_ms), "out"
    if isinstance(event, HoldChanged):
        return event.phone, str(event.at_ms), event.event
    return event.phone, event.message.messageId, "in"


async def follow_events(
    store: Store, subscribed: asyncio.Event | None = None
) -> AsyncGenerator[PublishedEvent]:
    """Yield what is published from now on; sets `subscribed` as soon as none can be missed any more.

    Raises RfctlError when Redis goes away.
    """
    async for raw in store.events(subscribed):
        yield decode_event(raw)
