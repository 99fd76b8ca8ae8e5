"""The dead, on a real server, on one shard and on several."""

from __future__ import annotations

import pytest

from rfctl.store.connection import Connection
from rfctl.store.dead_letters import DeadLetters
from rfctl.store.deliveries import DeliveryQueue
from rfctl.store.keys import Keyspace, ShardKeys
from rfctl.store.stream_entry import StreamEntry

PHONE = "79001234567"


async def dead_letter(
    connection: Connection, shard: ShardKeys, text: str, sink: str = "crm", error: str = "answered 500"
) -> StreamEntry:
    """One merged message, read by its sink and given up."""
    deliveries = DeliveryQueue(connection, shard, sink)
    await deliveries.open()
    fields = ("phone", PHONE, "company", "7", "text", text, "count", "1", "reason", "quiet", "messages", "[]")
    await connection.call("XADD", shard.out, "*", *fields)
    await deliveries.lease("test", 60_000)
    entry = (await deliveries.unread(100, 100, "test") or [])[-1]
    await deliveries.schedule_retry(entry.name, [entry.id], wait_ms=0, error="no answer")
    await deliveries.dead_letter(entry, error)
    return entry


async def next_ms(connection: Connection) -> None:
    now_ms = await connection.now_ms()
    while await connection.now_ms() == now_ms:
        pass


@pytest.fixture(params=[0, 3])
def shards(request: pytest.FixtureRequest) -> list[ShardKeys]:
    return Keyspace(request.param).all()


async def texts(room: DeadLetters, most: int = 100, sink: str = "") -> list[str]:
    return [one.entry.merged.text for one in await room.newest(most, sink)]


async def test_a_dead_message_is_kept_with_its_sink_and_every_try(
    connection: Connection, shards: list[ShardKeys]
):
    entry = await dead_letter(connection, shards[-1], 'Привет, "you"')
    [one] = await DeadLetters(connection, shards).newest()
    assert (one.sink, one.entry.merged.text, one.entry.merged.phone) == ("crm", 'Привет, "you"', PHONE)
    assert [a_try.error for a_try in one.attempts] == ["no answer", "answered 500"]
    assert all(abs(a_try.at_ms - one.died_ms) < 5000 for a_try in one.attempts)
    assert one.message_id == entry.delivery().id
    assert one.id.endswith(f"-{shards[-1].number}") == (len(shards) > 1)


async def test_the_newest_of_all_shards_are_listed_and_the_newest_is_last(
    connection: Connection, shards: list[ShardKeys]
):
    for place in range(6):
        await dead_letter(connection, shards[place % len(shards)], str(place))
        await next_ms(connection)  # ids of different shards are sorted by their ms
    room = DeadLetters(connection, shards)
    assert await texts(room) == ["0", "1", "2", "3", "4", "5"]
    assert await texts(room, 2) == ["4", "5"]
    assert await room.count() == 6


async def test_a_sink_s_dead_are_found_behind_many_of_another(connection: Connection):
    shards = Keyspace().all()
    await dead_letter(connection, shards[0], "mine", sink="crm")
    other = ("sink", "other", "id", "1-0", "tries", "[]", "phone", "p", "text", "x")
    await connection.calls([("XADD", shards[0].dead, "*", *other) for _ in range(450)])
    room = DeadLetters(connection, shards)
    assert await texts(room, 10, "crm") == ["mine"]
    assert len(await texts(room, 10, "other")) == 10
    assert len([one async for one in room.each("other")]) == 450


async def test_it_is_named_by_its_own_id_or_its_message_s_with_the_shard_or_without(
    connection: Connection, shards: list[ShardKeys]
):
    entry = await dead_letter(connection, shards[-1], "x")
    await next_ms(connection)  # a dead entry's own id may else be another message's
    await dead_letter(connection, shards[-1], "y")
    room = DeadLetters(connection, shards)
    [wanted] = [one for one in await room.newest() if one.entry.id == entry.id]
    for name in (wanted.id, wanted.entry_id, entry.id, entry.delivery().id):
        assert [one.id for one in await room.named(name)] == [wanted.id], name
    assert await room.named("1-1") == []


async def test_a_retry_sends_it_again_once_with_all_tries_before_it(
    connection: Connection, shards: list[ShardKeys]
):
    entry = await dead_letter(connection, shards[-1], "again")
    room = DeadLetters(connection, shards)
    [one] = await room.newest()
    assert await room.retry(one)
    assert not await room.retry(one)
    assert await room.count() == 0
    deliveries = DeliveryQueue(connection, shards[-1], "crm")
    assert await deliveries.due(10) == ([PHONE], None)
    waiting = await deliveries.fetch(await deliveries.first_due(PHONE))
    assert (waiting.id, waiting.merged.text, waiting.attempts) == (entry.id, "again", 0)


async def test_what_is_dropped_is_gone_and_everything_else_is_not(
    connection: Connection, shards: list[ShardKeys]
):
    await dead_letter(connection, shards[0], "away")
    await dead_letter(connection, shards[0], "stays")
    room = DeadLetters(connection, shards)
    [first] = [one for one in await room.newest() if one.entry.merged.text == "away"]
    assert await room.drop(first)
    assert not await room.drop(first)
    assert await texts(room) == ["stays"]


async def test_an_entry_that_somebody_else_wrote_is_shown_and_can_be_dropped(connection: Connection):
    [shard] = Keyspace().all()
    await connection.call("XADD", shard.dead, "9-1", "x", "y")  # both in one millisecond
    await connection.call(
        "XADD", shard.dead, "9-2", "sink", "crm", "id", "5-5", "tries", "nonsense", "text", "t"
    )
    room = DeadLetters(connection, [shard])
    odd, half = await room.newest()
    assert (odd.sink, odd.attempts, odd.entry.merged.text) == ("", (), "")
    assert (half.sink, half.attempts, half.message_id) == ("crm", (), "5-5")
    assert await room.drop(odd)
