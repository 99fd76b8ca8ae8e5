"""`tail --since`: what was and what is, in the order of the hand-overs, without a gap and without a repeat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from rfctl.model.message import Message
from rfctl.observe import (
    BatchHandedOver,
    DeliveryEnded,
    Event,
    HoldChanged,
    MessageDropped,
    Outcomes,
    follow_on,
)
from rfctl.observe.events import PastEvents
from rfctl.store import batch_key_of
from rfctl.store.connection import Connection
from tests.support.batching import Rig, make_rig
from tests.support.waiting import until


async def hand_over(rig: Rig, *texts: str, phone: str) -> None:
    await rig.add([Message(phone=phone, text=text, id=text, channel="generic") for text in texts])
    assert await rig.batches.flush(batch_key_of(phone))


def describe(event: Event) -> str:
    if isinstance(event, DeliveryEnded):
        return f"={event.phone} {event.outcome}"
    if isinstance(event, MessageDropped):
        return f"x{event.phone} {event.rule}"
    if isinstance(event, HoldChanged):
        return f"{event.phone} {event.event}"
    return f"<{event.text}" if isinstance(event, BatchHandedOver) else f">{event.message.text}"


@pytest.mark.parametrize("shards", [0, 4])
async def test_past_of_all_shards_comes_in_the_order_of_the_hand_overs(
    connection: Connection, shards: int
) -> None:
    rig = make_rig(connection, shards)
    for place in range(20):
        await hand_over(rig, f"{place}a", f"{place}b", phone=f"p{place}")
    events = [event async for event in PastEvents(rig.store, 0).read()]
    handed_over = [event.at_ms for event in events if isinstance(event, BatchHandedOver)]
    assert handed_over == sorted(handed_over)
    assert len(handed_over) == 20
    lines = [describe(event) for event in events]
    for place in range(20):
        end = lines.index(f"<{place}a {place}b")
        assert lines[end - 2 : end] == [f">{place}a", f">{place}b"]


async def test_since_leaves_out_what_was_before(connection: Connection) -> None:
    rig = make_rig(connection)
    await hand_over(rig, "before", phone="p")
    [earlier] = await rig.collect()
    await connection.call(
        "XADD", rig.shards[0].out, f"{earlier.handed_ms + 5}-0", "phone", "p", "text", "later"
    )
    events = [event async for event in PastEvents(rig.store, earlier.handed_ms + 5).read()]
    assert [describe(event) for event in events] == ["<later"]


async def test_what_is_handed_over_while_we_subscribe_is_neither_missed_nor_repeated(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await check_subscription(connection, monkeypatch, asyncio.Event())


async def test_what_is_handed_over_while_we_subscribe_again_is_not_missed(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribed_before = asyncio.Event()
    subscribed_before.set()
    await check_subscription(connection, monkeypatch, subscribed_before)


async def read_to(events: AsyncIterator[Event], end: str) -> list[str]:
    """Return the lines up to one: what is missing before it is seen then, and not waited for."""
    lines = [describe(await anext(events))]
    while lines[-1] != end:
        lines.append(describe(await anext(events)))
    return lines


async def check_subscription(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, subscribed: asyncio.Event
) -> None:
    rig = make_rig(connection, 4)
    await hand_over(rig, "past", phone="p")
    subscribe = rig.store.events

    async def subscribe_late(listening: asyncio.Event | None = None) -> AsyncIterator[bytes]:
        await asyncio.sleep(0.2)  # who does not wait for us reads the past meanwhile, and misses what follows
        await hand_over(rig, "before we listened", phone="q")
        inner = asyncio.Event()
        live = subscribe(inner)
        first = asyncio.ensure_future(anext(live))
        await inner.wait()
        await hand_over(rig, "while we read", phone="r")
        assert listening is not None
        listening.set()
        yield await first
        async for raw in live:
            yield raw

    monkeypatch.setattr(rig.store, "events", subscribe_late)
    events = follow_on(rig.store, 0, subscribed, Outcomes.since(rig.store, 0))
    lines = await read_to(events, "<while we read")
    await hand_over(rig, "live", phone="s")
    lines += await read_to(events, "<live")
    await events.aclose()
    texts = ["past", "before we listened", "while we read", "live"]
    assert lines == [line for text in texts for line in (f">{text}", f"<{text}")]
    assert subscribed.is_set()


@pytest.mark.parametrize("shards", [0, 4])
async def test_past_outcomes_come_between_the_hand_overs(connection: Connection, shards: int) -> None:
    rig = make_rig(connection, shards)
    for phone in ("p", "q"):
        await hand_over(rig, phone, phone=phone)
        await deliver(rig)
        before = await rig.store.now_ms()
        await until(lambda: _is_later(rig, before))  # noqa: B023 - awaited here
    events = follow_on(rig.store, 0, asyncio.Event(), Outcomes.since(rig.store, 0))
    lines = [describe(await anext(events)) for _ in range(6)]
    await events.aclose()
    assert lines == [">p", "<p", "=p delivered", ">q", "<q", "=q delivered"]


async def deliver(rig: Rig) -> None:
    """Let the sink bot take all that is there."""
    for shard in rig.shards:
        queue = rig.store.deliveries("bot", shard)
        await queue.open()
        assert await queue.lease("test", 60_000)
        for entry in await queue.read_new(10, 1, "test") or []:
            await queue.acknowledge(entry.batch_key, entry.id)


async def _is_later(rig: Rig, than_ms: int) -> bool:
    return await rig.store.now_ms() > than_ms
