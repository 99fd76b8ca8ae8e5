"""A daemon's beat says what the totals of all daemons were before, over all shards."""

from __future__ import annotations

import asyncio

import pytest

from rfctl.daemon.heartbeat import Heartbeat
from rfctl.store import DaemonRecord, TotalsSample
from rfctl.store.connection import Connection
from rfctl.store.recent_work import MinuteCounts, RecentAttempts, RecentWork
from tests.support.batching import make_rig


@pytest.mark.parametrize("shards", [0, 3])
async def test_record_has_the_totals_of_an_earlier_beat_over_all_shards(
    connection: Connection, shards: int
) -> None:
    store = make_rig(connection, shards=shards).store
    for shard in store.shards:
        await connection.call("HSET", shard.totals, "messages_in", 2, "sink:crm:delivered", 1, "other", 9)
    record = DaemonRecord(id="d", host="h", pid=1, version="1", role="all", sinks={"crm": "http"})
    stopping = asyncio.Event()

    async def stop() -> None:
        stopping.set()

    async def beat() -> TotalsSample | None:
        stopping.clear()
        await heartbeat.run(stopping)
        [alive] = await store.daemons.list_alive()
        return alive.totals_before

    heartbeat = Heartbeat(store.daemons, record, store.shards, lambda: 0, after=[stop])
    assert await beat() is None
    sample = await beat()
    assert sample is not None
    count = len(store.shards)
    assert {name: number for name, number in sample.counts.items() if number} == {
        "messages_in": 2 * count,
        "sink:crm:delivered": count,
    }


async def test_record_says_what_the_daemon_did_in_the_last_minutes(connection: Connection) -> None:
    store = make_rig(connection).store
    record = DaemonRecord(id="d", host="h", pid=1, version="1", role="all")
    work = RecentWork({5000: 3}, {1: 3}, {"crm": RecentAttempts({8: 2}, {200: 1})})
    stopping = asyncio.Event()

    async def stop() -> None:
        stopping.set()

    heartbeat = Heartbeat(
        store.daemons, record, store.shards, lambda: 0, after=[stop], count_work=lambda: work
    )
    await heartbeat.run(stopping)
    [alive] = await store.daemons.list_alive()
    assert (alive.recent_work, alive.minutes) == (work, MinuteCounts())
