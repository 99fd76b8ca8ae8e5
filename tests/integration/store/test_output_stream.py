from __future__ import annotations

import asyncio

import pytest

from rfctl.store.connection import Connection
from rfctl.store.output_stream import make_group
from tests.support.batching import make_rig
from tests.support.forwarding import hand_over

OUT = "rfctl:out"


@pytest.fixture
async def ids(connection: Connection) -> list[str]:
    return await hand_over(connection, *((f"{n}", f"{n}") for n in range(10)))


async def trimmed(connection: Connection, retention_s: int = 0, retention_entries: int = 0) -> list[str]:
    """What is left."""
    await asyncio.sleep(0.005)
    store = make_rig(connection).store
    await store.output.trim(retention_s=retention_s, retention_entries=retention_entries)
    return [one.id for one in await make_rig(connection).collect()]


async def read(connection: Connection, group: str, count: int) -> list[bytes]:
    answer = await connection.call("XREADGROUP", "GROUP", group, "w", "COUNT", count, "STREAMS", OUT, ">")
    return [entry_id for entry_id, _ in answer[0][1]]


async def test_without_a_group_nothing_goes(connection: Connection, ids):
    assert await trimmed(connection) == ids


async def test_nothing_goes_ahead_of_a_reader_that_has_read_nothing(connection: Connection, ids):
    await make_group(connection, OUT, "fast")
    await make_group(connection, OUT, "slow")
    await connection.call("XACK", OUT, "fast", *await read(connection, "fast", 10))
    assert await trimmed(connection) == ids
    await connection.call("XACK", OUT, "slow", *await read(connection, "slow", 4))
    assert await trimmed(connection) == ids[4:]


async def test_what_was_read_and_not_acknowledged_stays_and_all_behind_it(connection: Connection, ids):
    await make_group(connection, OUT, "g")
    got = await read(connection, "g", 10)
    await connection.call("XACK", OUT, "g", *(one for one in got if one != got[3]))
    assert await trimmed(connection) == ids[3:]
    await connection.call("XACK", OUT, "g", got[3])
    assert await trimmed(connection) == []


async def test_what_is_acknowledged_is_kept_for_its_age_and_no_more_than_its_number(
    connection: Connection, ids
):
    await make_group(connection, OUT, "g")
    await connection.call("XACK", OUT, "g", *await read(connection, "g", 10))
    assert await trimmed(connection, retention_s=3600, retention_entries=100) == ids
    assert await trimmed(connection, retention_s=3600, retention_entries=4) == ids[6:]
    assert await trimmed(connection, retention_s=0, retention_entries=100) == []


async def test_many_go_in_short_calls(connection: Connection):
    await connection.call(
        "EVAL", "for i=1,2500 do redis.call('XADD', KEYS[1], '*', 'phone', '7') end", 1, OUT
    )
    await make_group(connection, OUT, "g")
    await connection.call("XGROUP", "SETID", OUT, "g", "$")
    assert len(await trimmed(connection, retention_s=3600, retention_entries=7)) == 7


async def test_a_new_group_begins_with_what_is_kept(connection: Connection, ids):
    await make_group(connection, OUT, "g")
    await connection.call("XACK", OUT, "g", *await read(connection, "g", 10))
    await trimmed(connection, retention_s=3600, retention_entries=5)
    await make_group(connection, OUT, "late")
    assert [one.decode() for one in await read(connection, "late", 10)] == ids[5:]
