"""What the scripts write into the delivery log: each outcome once, and never at the cost of a delivery."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rfctl.model.delivery import RedisWrite
from rfctl.model.message import Message
from rfctl.store import LastAttempt, LoggedDelivery, StreamEntry, replies
from rfctl.store.connection import Connection
from rfctl.store.dead_letters import DeadLetters
from rfctl.store.deliveries import DeliveryQueue
from rfctl.store.delivery_log import DeliveryLog
from tests.support.batching import make_rig
from tests.support.forwarding import deliveries, hand_over, left
from tests.support.keys import SHARD
from tests.support.servers import patient_address

INBOX = RedisWrite("list", "inbox", ["a"])


async def read(connection: Connection, *phones: str) -> list[StreamEntry]:
    await hand_over(connection, *((phone, f"for {phone}") for phone in phones))
    return await read_new(connection)


async def read_new(connection: Connection) -> list[StreamEntry]:
    queue = deliveries(connection)
    await queue.open()
    await queue.lease("test", 60_000)
    return await queue.read_new(10, 1, "test") or []


async def read_log(connection: Connection) -> list[LoggedDelivery]:
    """The outcomes, oldest first."""
    logged = [outcome async for outcome in DeliveryLog(connection, [SHARD]).iterate()]
    return logged[::-1]


def as_logged(entry: StreamEntry, outcome: str, attempts: int, took_ms: int | None) -> tuple[object, ...]:
    return entry.phone, "bot", entry.id, outcome, attempts, took_ms


async def logged_facts(connection: Connection) -> list[tuple[object, ...]]:
    return [
        (item.phone, item.sink, item.id, item.outcome, item.attempts, item.took_ms)
        for item in await read_log(connection)
    ]


async def test_each_outcome_is_logged_once_however_often_it_is_stored(connection: Connection) -> None:
    taken, written, dead, missing = await read(connection, "7", "8", "9", "5")
    queue = deliveries(connection)
    await connection.call("XDEL", SHARD.out, missing.id)
    for _ in range(2):  # the second is a call whose first answer was lost
        await queue.acknowledge("7", taken.id, LastAttempt.at(taken, 8))
        await queue.write_and_acknowledge(written, INBOX)
        await queue.dead_letter(dead, "no", 30)
        await queue.acknowledge_missing("5", missing)
    assert await logged_facts(connection) == [
        as_logged(taken, "delivered", 1, 8),
        as_logged(written, "delivered", 1, None),
        as_logged(dead, "dead", 1, 30),
        as_logged(missing, "missing", 0, None),
    ]


async def test_attempts_that_failed_before_are_counted(connection: Connection) -> None:
    first, second, third = await read(connection, "7", "8", "9")
    queue = deliveries(connection)
    for attempts in range(2):
        for entry in (first, second, third):
            await queue.schedule_retry(entry.batch_key, [entry.id], wait_ms=0, error="no", attempts=attempts)
    again = [await queue.fetch(entry.id, entry.batch_key) for entry in (first, second, third)]
    await queue.acknowledge("7", first.id, LastAttempt.at(again[0], 8))
    await queue.write_and_acknowledge(again[1], INBOX)
    await queue.dead_letter(again[2], "no")
    assert [item.attempts for item in await read_log(connection)] == [3, 3, 3]


async def test_phone_of_a_hashed_batch_key_is_logged(connection: Connection) -> None:
    rig = make_rig(connection, max_size=1)
    await rig.add([Message(phone="7", text="a", id="a", channel="generic", chat="group")])
    [entry] = await read_new(connection)
    assert entry.batch_key != "7"
    await deliveries(connection).acknowledge(entry.batch_key, entry.id, LastAttempt.at(entry, 8))
    assert await logged_facts(connection) == [as_logged(entry, "delivered", 1, 8)]


async def test_nothing_is_written_where_the_log_is_off(connection: Connection) -> None:
    taken, written, dead = await read(connection, "7", "8", "9")
    queue = DeliveryQueue(connection, SHARD, "bot", writes_log=lambda: False)
    await queue.acknowledge("7", taken.id)
    await queue.write_and_acknowledge(written, INBOX)
    await queue.dead_letter(dead, "no")
    assert await connection.call("EXISTS", SHARD.log) == 0
    assert (await left(connection))[0] == 0


# --- the log fails no delivery


async def end_all(queue: DeliveryQueue, entries: list[StreamEntry]) -> None:
    """Acknowledge the first, write the second, and make the third a dead letter."""
    await queue.acknowledge(entries[0].batch_key, entries[0].id)
    await queue.write_and_acknowledge(entries[1], INBOX)
    await queue.dead_letter(entries[2], "no")


async def check_ended(connection: Connection) -> None:
    assert (await left(connection))[0] == 0
    assert await connection.call("LRANGE", "inbox", 0, -1) == [b"a"]
    assert await DeadLetters(connection, [SHARD]).count() == 1
    assert await connection.call("HGET", SHARD.totals, "sink:bot:delivered") == b"2"


async def test_log_key_of_another_kind_fails_no_delivery(connection: Connection) -> None:
    entries = await read(connection, "7", "8", "9")
    await connection.call("SET", SHARD.log, "another program's")
    await end_all(deliveries(connection), entries)
    await check_ended(connection)
    assert await connection.call("GET", SHARD.log) == b"another program's"


async def test_full_memory_fails_no_delivery(connection: Connection) -> None:
    entries = await read(connection, "7", "8", "9")
    await connection.load_scripts()
    await connection.call("CONFIG", "SET", "maxmemory", 1)
    await end_all(deliveries(connection), entries)
    await check_ended(connection)


@pytest.fixture
async def poor(connection: Connection) -> AsyncIterator[Connection]:
    """A connection of a user who may not add to a stream."""
    await connection.call("ACL", "SETUSER", "poor", "reset", "on", ">pw", "~*", "&*", "+@all", "-xadd")
    url = connection.address.url.replace("redis://", "redis://poor:pw@")
    opened = Connection.open(patient_address(url))
    yield opened
    await opened.close()
    await connection.call("ACL", "DELUSER", "poor")


async def test_missing_right_fails_no_delivery(connection: Connection, poor: Connection) -> None:
    taken, written = await read(connection, "7", "8")
    queue = deliveries(poor)
    await queue.acknowledge("7", taken.id)
    await queue.write_and_acknowledge(written, INBOX)
    assert (await left(connection))[0] == 0
    assert await connection.call("LLEN", "inbox") == 1
    assert await connection.call("EXISTS", SHARD.log) == 0


async def test_write_that_redis_refuses_is_not_logged(connection: Connection) -> None:
    taken, refused = await read(connection, "7", "8")
    await connection.call("SET", "taken", "x")
    queue = deliveries(connection)
    with pytest.raises(Exception, match="taken is a string"):
        await queue.write_and_acknowledge(refused, RedisWrite("list", "taken", ["a"]))
    await queue.write_and_acknowledge(taken, INBOX)
    assert [item.id for item in await read_log(connection)] == [taken.id]


# --- read on


async def test_outcomes_are_read_on_from_where_the_last_read_ended(connection: Connection) -> None:
    entries = await read(connection, "7", "8", "9")
    queue, log = deliveries(connection), DeliveryLog(connection, [SHARD])
    await queue.acknowledge("7", entries[0].id)
    last_ids = await log.find_last_ids()
    assert await log.read_after(last_ids) == []
    await queue.acknowledge("8", entries[1].id)
    await queue.acknowledge("9", entries[2].id)
    assert [item.phone for item in await log.read_after(last_ids)] == ["8", "9"]
    assert await log.read_after(last_ids) == []
    size = replies.integer(await connection.call("XLEN", SHARD.log))
    assert size == 3
