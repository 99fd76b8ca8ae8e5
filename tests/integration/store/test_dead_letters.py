"""Dead letters on a real server, on one shard and on several."""

from __future__ import annotations

import pytest

from rfctl.store.connection import Connection
from rfctl.store.dead_letters import DeadLetters
from rfctl.store.deliveries import DeliveryQueue
from rfctl.store.keys import Keyspace, ShardKeys
from rfctl.store.stream_entry import StreamEntry
from tests.support.keys import SHARD

PHONE = "79001234567"


async def dead_letter(
    connection: Connection, shard: ShardKeys, text: str, sink: str = "crm", error: str = "answered 500"
) -> StreamEntry:
    """A merged message that its sink has read and that is dead."""
    deliveries = DeliveryQueue(connection, shard, sink)
    await deliveries.open()
    fields = ("phone", PHONE, "company", "7", "text", text, "count", "1", "reason", "quiet", "messages", "[]")
    await connection.call("XADD", shard.out, "*", *fields)
    await deliveries.lease("test", 60_000)
    entry = (await deliveries.read_new(100, 100, "test") or [])[-1]
    await deliveries.schedule_retry(entry.batch_key, [entry.id], wait_ms=0, error="no answer")
    await deliveries.dead_letter(entry, error)
    return entry


async def next_ms(connection: Connection) -> None:
    now_ms = await connection.now_ms(SHARD)
    while await connection.now_ms(SHARD) == now_ms:
        pass


@pytest.fixture(params=[0, 3])
def shards(request: pytest.FixtureRequest) -> list[ShardKeys]:
    return Keyspace(request.param).all()


async def texts(room: DeadLetters, most: int = 100, sink: str = "") -> list[str]:
    return [letter.entry.merged.text for letter in await room.list_newest(most, sink)]


async def test_dead_letter_has_its_sink_and_every_attempt(
    connection: Connection, shards: list[ShardKeys]
) -> None:
    entry = await dead_letter(connection, shards[-1], 'Привет, "you"')
    [letter] = await DeadLetters(connection, shards).list_newest()
    assert (letter.sink, letter.entry.merged.text, letter.entry.merged.phone) == (
        "crm",
        'Привет, "you"',
        PHONE,
    )
    assert [attempt.error for attempt in letter.attempts] == ["no answer", "answered 500"]
    assert all(abs(attempt.at_ms - letter.died_ms) < 5000 for attempt in letter.attempts)
    assert letter.message_id == entry.to_delivery().id
    assert letter.id.endswith(f"-{shards[-1].number}") == (len(shards) > 1)


async def test_newest_letters_of_all_shards_are_listed_oldest_first(
    connection: Connection, shards: list[ShardKeys]
) -> None:
    for place in range(6):
        await dead_letter(connection, shards[place % len(shards)], str(place))
        await next_ms(connection)  # ids of different shards are sorted by their ms
    room = DeadLetters(connection, shards)
    assert await texts(room) == ["0", "1", "2", "3", "4", "5"]
    assert await texts(room, 2) == ["4", "5"]
    assert await room.count() == 6


async def test_letters_of_a_sink_are_found_behind_many_of_another(connection: Connection) -> None:
    shards = Keyspace().all()
    await dead_letter(connection, shards[0], "mine", sink="crm")
    other = ("sink", "other", "id", "1-0", "tries", "[]", "phone", "p", "text", "x")
    await connection.calls([("XADD", shards[0].dead, "*", *other) for _ in range(450)])
    room = DeadLetters(connection, shards)
    assert await texts(room, 10, "crm") == ["mine"]
    assert len(await texts(room, 10, "other")) == 10
    assert len([letter async for letter in room.iterate("other")]) == 450


async def test_letter_is_named_by_its_own_id_or_its_messages(
    connection: Connection, shards: list[ShardKeys]
) -> None:
    entry = await dead_letter(connection, shards[-1], "x")
    await next_ms(connection)  # a dead entry's own id may else be another message's
    await dead_letter(connection, shards[-1], "y")
    room = DeadLetters(connection, shards)
    [wanted] = [letter for letter in await room.list_newest() if letter.entry.id == entry.id]
    for name in (wanted.id, wanted.entry_id, entry.id, entry.to_delivery().id):
        assert [letter.id for letter in await room.find(name)] == [wanted.id], name
    assert await room.find("1-1") == []


async def test_retry_sends_the_message_again_once_with_all_attempts_before_it(
    connection: Connection, shards: list[ShardKeys]
) -> None:
    entry = await dead_letter(connection, shards[-1], "again")
    room = DeadLetters(connection, shards)
    [letter] = await room.list_newest()
    assert await room.retry(letter)
    assert not await room.retry(letter)
    assert await room.count() == 0
    deliveries = DeliveryQueue(connection, shards[-1], "crm")
    assert await deliveries.find_due(10) == ([PHONE], None)
    waiting = await deliveries.fetch(await deliveries.find_first_due(PHONE))
    assert (waiting.id, waiting.merged.text, waiting.attempts) == (entry.id, "again", 0)


async def test_drop_deletes_one_letter_only(connection: Connection, shards: list[ShardKeys]) -> None:
    await dead_letter(connection, shards[0], "away")
    await dead_letter(connection, shards[0], "stays")
    room = DeadLetters(connection, shards)
    [first] = [letter for letter in await room.list_newest() if letter.entry.merged.text == "away"]
    assert await room.drop(first)
    assert not await room.drop(first)
    assert await texts(room) == ["stays"]


async def test_entry_of_another_program_is_shown_and_can_be_dropped(connection: Connection) -> None:
    [shard] = Keyspace().all()
    await connection.call("XADD", shard.dead, "9-1", "x", "y")  # both in one millisecond
    await connection.call(
        "XADD", shard.dead, "9-2", "sink", "crm", "id", "5-5", "tries", "nonsense", "text", "t"
    )
    room = DeadLetters(connection, [shard])
    odd, half = await room.list_newest()
    assert (odd.sink, odd.attempts, odd.entry.merged.text) == ("", (), "")
    assert (half.sink, half.attempts, half.message_id) == ("crm", (), "5-5")
    assert await room.drop(odd)
