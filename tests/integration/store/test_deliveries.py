"""A sink's delivery queue: what its reads raise and what opening it mends."""

from __future__ import annotations

import pytest

from rfctl.errors import GroupMissingError
from rfctl.store.connection import Connection
from rfctl.store.output_stream import make_group
from tests.support.forwarding import deliveries, hand_over


async def test_deleted_group_is_named_and_opening_begins_with_what_is_kept(connection: Connection):
    [entry_id] = await hand_over(connection, ("7", "a"))
    queue = deliveries(connection)
    await queue.open()
    await queue.lease("test", 60_000)
    await connection.call("XGROUP", "DESTROY", "rfctl:out", queue.group)
    with pytest.raises(GroupMissingError):
        await queue.unread(10, 1, "test")
    with pytest.raises(GroupMissingError):
        await queue.unacknowledged("0-0", 10, "test")
    await queue.open()
    assert [entry.id for entry in await queue.unread(10, 1, "test") or []] == [entry_id]


async def test_group_that_another_daemon_made_meanwhile_stays_as_it_is(connection: Connection, monkeypatch):
    async def misses_it(*_) -> bool:
        return False

    await hand_over(connection, ("7", "a"))
    await make_group(connection, "rfctl:out", "g")
    await connection.call("XGROUP", "SETID", "rfctl:out", "g", "$")
    monkeypatch.setattr("rfctl.store.output_stream._has_group", misses_it)
    await make_group(connection, "rfctl:out", "g")
    assert await connection.call("XREADGROUP", "GROUP", "g", "w", "STREAMS", "rfctl:out", ">") is None
