"""A sink's delivery queue: what its reads raise and what opening it mends."""

from __future__ import annotations

import pytest

from rfctl.errors import GroupMissingError
from rfctl.store.connection import Connection
from rfctl.store.output_stream import ensure_groups
from tests.support.clock import VirtualClock
from tests.support.forwarding import deliveries, hand_over
from tests.support.keys import SHARD


async def test_deleted_group_is_named_and_opening_begins_with_what_is_kept(connection: Connection) -> None:
    [entry_id] = await hand_over(connection, ("7", "a"))
    queue = deliveries(connection)
    await queue.open()
    await queue.lease("test", 60_000)
    await connection.call("XGROUP", "DESTROY", "rfctl:out", queue.group)
    with pytest.raises(GroupMissingError):
        await queue.read_new(10, 1, "test")
    with pytest.raises(GroupMissingError):
        await queue.read_unacknowledged("0-0", 10, "test")
    await queue.open()
    assert [entry.id for entry in await queue.read_new(10, 1, "test") or []] == [entry_id]


async def test_group_that_is_there_stays_as_it_is_also_in_a_full_redis(connection: Connection) -> None:
    await hand_over(connection, ("7", "a"))
    await ensure_groups(connection, SHARD, ["g"])
    await connection.call("XGROUP", "SETID", "rfctl:out", "g", "$")
    await connection.call("CONFIG", "SET", "maxmemory", 1)
    await ensure_groups(connection, SHARD, ["g", "new"])
    assert await connection.call("XREADGROUP", "GROUP", "g", "w", "STREAMS", "rfctl:out", ">") is None
    assert await connection.call("XREADGROUP", "GROUP", "new", "w", "STREAMS", "rfctl:out", ">")


async def test_retry_is_due_by_the_clock_of_the_scripts(timed: Connection, clock: VirtualClock) -> None:
    [entry_id] = await hand_over(timed, ("7", "a"))
    queue = deliveries(timed)
    await queue.open()
    await queue.lease("test", 60_000)
    await queue.read_new(10, 1, "test")
    await queue.schedule_retry("7", [entry_id], wait_ms=3_600_000, error="no answer")
    await clock.advance(3_599_999)
    assert await queue.find_due(10) == ([], 1)
    await clock.advance(1)
    assert await queue.find_due(10) == (["7"], None)
    assert await queue.find_first_due("7") == entry_id


async def test_next_retry_is_found_behind_more_due_ones_than_are_asked_for(
    timed: Connection, clock: VirtualClock
) -> None:
    phones = ("6", "7", "8", "9")
    ids = await hand_over(timed, *((phone, "a") for phone in phones))
    queue = deliveries(timed)
    await queue.open()
    for phone, entry_id, wait_ms in zip(phones, ids, (1, 2, 3, 60_000), strict=True):
        await queue.schedule_retry(phone, [entry_id], wait_ms=wait_ms)
    await clock.advance(3)
    for limit in (1, 2):
        assert await queue.find_due(limit) == (["6", "7", "8"][:limit], 59_997)
    assert await queue.find_due(3) == (["6", "7", "8"], 59_997)


async def test_fixed_wait_is_not_shortened_unless_asked_for(timed: Connection, clock: VirtualClock) -> None:
    ids = await hand_over(timed, ("7", "a"), ("8", "b"))
    queue = deliveries(timed)
    await queue.open()
    for phone, entry_id in zip(("7", "8"), ids, strict=True):
        await queue.schedule_retry(phone, [entry_id], wait_ms=60_000, fixed=phone == "7")
    assert await queue.retry_now(fixed_too=False) == 1
    assert await queue.find_due(10) == (["8"], 60_000)
    assert await queue.retry_now() == 1
    assert await queue.find_due(10) == (["7", "8"], None)


async def test_messages_of_one_ms_wait_in_their_order(connection: Connection) -> None:
    queue = deliveries(connection)
    await queue.open()
    for entry_id in ("5-10", "5-9", "12-0", "5-100"):
        await queue.schedule_retry("7", [entry_id], wait_ms=0)
    order = [await queue.find_first_due("7")]
    while order[-1]:
        order.append(await queue.acknowledge("7", order[-1]))
    assert order == ["5-9", "5-10", "5-100", "12-0", ""]


async def test_message_of_a_waiting_batch_key_goes_behind_those_that_wait(connection: Connection) -> None:
    first, second, other = await hand_over(connection, ("7", "a"), ("7", "b"), ("8", "c"))
    queue = deliveries(connection)
    await queue.open()
    await queue.lease("test", 60_000)
    entries = await queue.read_new(10, 1, "test") or []
    await queue.schedule_retry("7", [first], wait_ms=0, error="no")
    assert await queue.defer(entries[1:]) == [True, False]
    assert await queue.find_first_due("7") == first
    assert await queue.acknowledge("7", first) == second
    assert await queue.acknowledge("8", other) == ""
