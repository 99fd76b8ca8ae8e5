from __future__ import annotations

from typing import Any

import pytest

from rfctl.store.connection import Connection
from rfctl.store.output_stream import ensure_groups
from tests.support.batching import make_rig
from tests.support.clock import VirtualClock
from tests.support.forwarding import hand_over
from tests.support.keys import SHARD

OUT = "rfctl:out"


@pytest.fixture
async def ids(connection: Connection) -> list[str]:
    return await hand_over(connection, *((f"{n}", f"{n}") for n in range(10)))


async def trim(connection: Connection, retention_s: int = 0, retention_entries: int = 0) -> list[str]:
    """Trim a second after all that was written; returns the ids that are left."""
    clock = await VirtualClock.start(connection)
    await clock.advance(1000)
    timed = clock.open(connection.address)
    rig = make_rig(timed)
    await rig.store.output.trim(retention_s=retention_s, retention_entries=retention_entries)
    ids = [merged.id for merged in await rig.collect()]
    await timed.close()
    return ids


async def read(connection: Connection, group: str, count: int) -> list[bytes]:
    answer = await connection.call("XREADGROUP", "GROUP", group, "w", "COUNT", count, "STREAMS", OUT, ">")
    return [entry_id for entry_id, _ in answer[0][1]]


async def test_stream_without_a_group_is_not_trimmed(connection: Connection, ids: Any) -> None:
    assert await trim(connection) == ids


async def test_unread_entries_stay(connection: Connection, ids: Any) -> None:
    await ensure_groups(connection, SHARD, ["fast"])
    await ensure_groups(connection, SHARD, ["slow"])
    await connection.call("XACK", OUT, "fast", *await read(connection, "fast", 10))
    assert await trim(connection) == ids
    await connection.call("XACK", OUT, "slow", *await read(connection, "slow", 4))
    assert await trim(connection) == ids[4:]


async def test_unacknowledged_entry_stays_with_all_behind_it(connection: Connection, ids: Any) -> None:
    await ensure_groups(connection, SHARD, ["g"])
    entry_ids = await read(connection, "g", 10)
    await connection.call("XACK", OUT, "g", *(entry_id for entry_id in entry_ids if entry_id != entry_ids[3]))
    assert await trim(connection) == ids[3:]
    await connection.call("XACK", OUT, "g", entry_ids[3])
    assert await trim(connection) == []


async def test_acknowledged_entries_are_kept_by_age_and_by_number(connection: Connection, ids: Any) -> None:
    await ensure_groups(connection, SHARD, ["g"])
    await connection.call("XACK", OUT, "g", *await read(connection, "g", 10))
    assert await trim(connection, retention_s=3600, retention_entries=100) == ids
    assert await trim(connection, retention_s=3600, retention_entries=4) == ids[6:]
    assert await trim(connection, retention_s=0, retention_entries=100) == []


async def test_many_entries_are_trimmed_in_short_calls(connection: Connection) -> None:
    await connection.call(
        "EVAL", "for i=1,2500 do redis.call('XADD', KEYS[1], '*', 'phone', '7') end", 1, OUT
    )
    await ensure_groups(connection, SHARD, ["g"])
    await connection.call("XGROUP", "SETID", OUT, "g", "$")
    assert len(await trim(connection, retention_s=3600, retention_entries=7)) == 7


async def test_new_group_begins_with_the_oldest_entry_that_is_kept(connection: Connection, ids: Any) -> None:
    await ensure_groups(connection, SHARD, ["g"])
    await connection.call("XACK", OUT, "g", *await read(connection, "g", 10))
    await trim(connection, retention_s=3600, retention_entries=5)
    await ensure_groups(connection, SHARD, ["late"])
    assert [entry_id.decode() for entry_id in await read(connection, "late", 10)] == ids[5:]
