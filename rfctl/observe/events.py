"""Live events: the scripts publish each message that is stored and each merged message.

Nothing is published when nobody listens, and nothing here is needed for a message to arrive.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec

from rfctl.model.stored import Merged, StoredMessage, decode_item
from rfctl.store import Store


class MessageReceived(msgspec.Struct, frozen=True):
    """A message was stored: its batch now has `size` messages, and is due in `due_in_ms`."""

    phone: str
    at_ms: int
    size: int
    due_in_ms: int
    message: StoredMessage


class BatchHandedOver(msgspec.Struct, frozen=True):
    """A merged message was written to the output stream, or dropped as it said nothing."""

    id: str
    phone: str
    reason: str
    count: int
    waited_ms: int
    late_ms: int
    text: str
    discarded: int = 0
    """How many messages before it a rule has thrown away."""
    dropped_ms: int = 0
    """When it was dropped, Unix ms, as it said nothing: then its id is ""."""

    @property
    def at_ms(self) -> int:
        """When: the time in its id."""
        return int(self.id.partition("-")[0]) if self.id else self.dropped_ms


Event = MessageReceived | BatchHandedOver


class _Wire(msgspec.Struct):
    event: str
    phone: str
    id: str = ""
    reason: str = ""
    count: int = 0
    waited_ms: int = 0
    late_ms: int = 0
    discarded: int = 0
    text: str = ""
    size: int = 0
    due_in_ms: int = 0
    at_ms: int = 0
    item: msgspec.Raw = msgspec.Raw(b"{}")


_decode = msgspec.json.Decoder(_Wire).decode


def decode_event(raw: bytes) -> Event:
    """Read one published event."""
    wire = _decode(raw)
    if wire.event == "in":
        message = decode_item(bytes(wire.item))
        phone = message.phone or wire.phone
        return MessageReceived(phone, message.receivedAt, wire.size, wire.due_in_ms, message)
    return BatchHandedOver(
        wire.id,
        wire.phone,
        wire.reason,
        wire.count,
        wire.waited_ms,
        wire.late_ms,
        wire.text,
        wire.discarded,
        0 if wire.id else wire.at_ms,
    )


def list_events(merged: Merged) -> list[Event]:
    """Return the events of a merged message: each of its messages received, then its batch handed over."""
    received: list[Event] = [
        MessageReceived(merged.phone, message.receivedAt, place, 0, message)
        for place, message in enumerate(merged.messages, start=1)
    ]
    handed_over = BatchHandedOver(
        merged.id, merged.phone, merged.reason, merged.count, merged.waited_ms, merged.late_ms, merged.text,
        merged.discarded,
    )  # fmt: skip
    return [*received, handed_over]


async def read_past_events(store: Store, since_ms: int) -> list[Event]:
    """Return the events behind the merged messages since then (Unix ms), in their order."""
    events = [event async for merged in store.output.read_since(since_ms) for event in list_events(merged)]
    return sorted(events, key=lambda event: event.at_ms)


async def follow_events(store: Store, subscribed: asyncio.Event | None = None) -> AsyncIterator[Event]:
    """Yield events from now on; sets `subscribed` as soon as none can be missed any more.

    Raises RfctlError when Redis goes away.
    """
    async for raw in store.events(subscribed):
        yield decode_event(raw)
