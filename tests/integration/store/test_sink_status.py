"""The status of sinks on a real server, on one shard and on several."""

from __future__ import annotations

from pathlib import Path

import pytest

from rfctl.assembly.sinks import list_configured_sinks
from rfctl.store.connection import Connection
from rfctl.store.deliveries import DeliveryQueue
from rfctl.store.keys import Keyspace, ShardKeys
from rfctl.store.orphaned_groups import read_orphaned_groups
from rfctl.store.output_stream import OutputStream, ensure_groups
from rfctl.store.paused_sinks import PausedSinks
from rfctl.store.pending import PendingSummary, read_pending
from rfctl.store.retry_queue import END
from rfctl.store.sink_status import ConfiguredSink, SinkStatus, count_left, read_sink_statuses
from rfctl.store.stream_entry import StreamEntry
from tests.conftest import configure
from tests.support.clock import VirtualClock
from tests.support.keys import COMMON, SHARD
from tests.support.waiting import until

CRM = ConfiguredSink("crm", "http", "rfctl:crm")


@pytest.fixture(params=[0, 3])
def shards(request: pytest.FixtureRequest) -> list[ShardKeys]:
    return Keyspace(request.param).all()


async def leave(connection: Connection, shard: ShardKeys, phone: str) -> str:
    """One merged message in the output stream; its id."""
    return str((await connection.call("XADD", shard.out, "*", "phone", phone, "text", "x")).decode())


async def look(connection: Connection, shards: list[ShardKeys], outlet: ConfiguredSink = CRM) -> SinkStatus:
    paused = await PausedSinks(connection, SHARD).list()
    [status] = await read_sink_statuses(
        connection, shards, [outlet], await pending_on(connection, shards), paused
    )
    return status


async def pending_on(connection: Connection, shards: list[ShardKeys]) -> PendingSummary:
    return await read_pending(connection, shards, OutputStream(connection, shards))


async def read(connection: Connection, shard: ShardKeys) -> tuple[DeliveryQueue, list[StreamEntry]]:
    deliveries = DeliveryQueue(connection, shard, "crm")
    await deliveries.open()
    await deliveries.lease("test", 60_000)
    return deliveries, await deliveries.read_new(100, 1, "test") or []


async def shown_lag(connection: Connection, lag: int) -> int | None:
    """The lag as it is shown: Redis 6 has none."""
    return None if (await connection.read_server_info()).version.startswith("6.") else lag


async def test_sink_without_a_group_lags_behind_everything_that_is_kept(
    connection: Connection, shards: list[ShardKeys]
) -> None:
    empty = await look(connection, shards)
    assert (empty.lag, empty.oldest_ms, empty.unserved_shards) == (0, None, len(shards))
    ids = [await leave(connection, shard, "p") for shard in shards]
    seen = await look(connection, shards)
    assert (seen.lag, seen.unacknowledged, seen.phones_waiting) == (len(shards), 0, 0)
    assert seen.oldest_ms == min(int(entry_id.partition("-")[0]) for entry_id in ids)


async def test_entry_in_delivery_is_unacknowledged_and_has_an_age(
    connection: Connection, shards: list[ShardKeys]
) -> None:
    first = await leave(connection, shards[0], "a")
    deliveries, [entry] = await read(connection, shards[0])
    await leave(connection, shards[0], "b")
    seen = await look(connection, shards)
    assert (seen.lag, seen.unacknowledged) == (await shown_lag(connection, 1), 1)
    assert seen.oldest_ms == int(first.partition("-")[0])
    await deliveries.acknowledge(entry.batch_key, entry.id)
    await connection.call("XREADGROUP", "GROUP", CRM.group, "x", "STREAMS", shards[0].out, ">")
    await connection.call("XACK", shards[0].out, CRM.group, await newest(connection, shards[0]))
    seen = await look(connection, shards)
    assert (seen.unacknowledged, seen.oldest_ms, seen.delivered) == (0, None, 1)
    assert seen.lag == await shown_lag(connection, 0)


async def newest(connection: Connection, shard: ShardKeys) -> bytes:
    [[entry_id, _]] = await connection.call("XREVRANGE", shard.out, "+", "-", "COUNT", 1)
    return bytes(entry_id)


async def test_status_counts_held_phones_waiting_messages_and_failures(
    connection: Connection, shards: list[ShardKeys]
) -> None:
    for phone in ("a", "a", "b"):
        await leave(connection, shards[0], phone)
    deliveries, [first, second, other] = await read(connection, shards[0])
    await deliveries.schedule_retry("a", [first.id, second.id], wait_ms=60_000, error="answered 500")
    await deliveries.dead_letter(other, "answered 400")
    seen, now = await look(connection, shards), await connection.now_ms(SHARD)
    assert (seen.phones_waiting, seen.messages_waiting, seen.failures, seen.dead) == (1, 2, 2, 1)
    assert seen.next_retry_ms is not None
    assert 50_000 < seen.next_retry_ms - now <= 60_000


async def test_status_names_the_daemons_and_counts_unserved_shards(
    connection: Connection, shards: list[ShardKeys]
) -> None:
    for shard in shards[:-1]:
        await DeliveryQueue(connection, shard, "crm").lease("daemon-1", 60_000)
    seen = await look(connection, shards)
    assert (seen.leased_by, seen.unserved_shards) == (("daemon-1",) if shards[:-1] else (), 1)
    await DeliveryQueue(connection, shards[-1], "crm").lease("daemon-2", 60_000)
    assert (await look(connection, shards)).unserved_shards == 0


async def test_pause_has_a_reason_and_a_time_and_ends_once(
    connection: Connection, shards: list[ShardKeys]
) -> None:
    assert (await look(connection, shards)).paused is None
    await DeliveryQueue(connection, shards[0], "crm").pause("it moves", 1)
    paused = (await look(connection, shards)).paused
    assert paused is not None
    assert paused.why == "it moves"
    assert abs(paused.at_ms - await connection.now_ms(SHARD)) < 5000
    assert await PausedSinks(connection, SHARD).resume("crm")
    assert not await PausedSinks(connection, SHARD).resume("crm")
    assert await PausedSinks(connection, SHARD).list() == {}


async def test_pause_written_by_hand_counts(connection: Connection) -> None:
    await connection.call("HSET", COMMON.paused, "crm", "because \xff")
    assert (await PausedSinks(connection, SHARD).list())["crm"].why == "because \xff"


async def test_stream_workers_are_shown_by_their_own_group(connection: Connection) -> None:
    [shard] = Keyspace().all()
    workers = ConfiguredSink("bot", "stream", "bots", forwarded=False)
    await leave(connection, shard, "a")
    await ensure_groups(connection, shard, ["bots"])
    await leave(connection, shard, "b")
    await connection.call("XREADGROUP", "GROUP", "bots", "w", "COUNT", 1, "STREAMS", shard.out, ">")
    seen = await look(connection, [shard], workers)
    assert (seen.unacknowledged, seen.leased_by, seen.unserved_shards) == (1, (), 0)
    assert seen.lag == await shown_lag(connection, 1)


async def test_stream_without_a_configured_group_has_no_lag(connection: Connection) -> None:
    [shard] = Keyspace().all()
    await leave(connection, shard, "a")
    seen = await look(connection, [shard], ConfiguredSink("bot", "stream", "", forwarded=False))
    assert (seen.lag, seen.oldest_ms, seen.unserved_shards) == (None, None, 0)


async def test_lag_that_redis_cannot_tell_is_none(connection: Connection) -> None:
    [shard] = Keyspace().all()
    ids = [await leave(connection, shard, "a") for _ in range(4)]
    await ensure_groups(connection, shard, [CRM.group])
    await connection.call("XREADGROUP", "GROUP", CRM.group, "x", "COUNT", 1, "STREAMS", shard.out, ">")
    await connection.call("XDEL", shard.out, ids[2])  # a hole among the unread: Redis counts no more
    assert (await look(connection, [shard])).lag is None


async def cost(connection: Connection, shard: ShardKeys, waiting: int) -> int:
    """How many commands one look takes while so many phones are held."""
    await connection.call("FLUSHDB")
    await leave(connection, shard, "p0")
    keys = shard.sink("crm")
    await connection.calls([("ZADD", keys.retry, i, f"p{i}") for i in range(waiting)])
    ids = [f"{i:015}-{i:010}" for i in range(waiting)]
    await connection.calls([("ZADD", keys.waiting, 0, f"p{i}\0{ids[i]}") for i in range(waiting)])
    await connection.call("CONFIG", "RESETSTAT")
    await look(connection, [shard])
    lines = (await connection.call("INFO", "commandstats")).decode().splitlines()
    called = {
        line.partition(":")[0]: int(line.split("calls=")[1].split(",")[0])
        for line in lines
        if "calls=" in line
    }
    assert not any("scan" in name or "keys" in name for name in called)
    return sum(called.values())


async def test_cost_does_not_grow_with_the_queue(connection: Connection) -> None:
    [shard] = Keyspace().all()
    await cost(connection, shard, 0)  # the first call on a connection takes some more
    assert await cost(connection, shard, 0) <= 22
    assert await cost(connection, shard, 500) == await cost(connection, shard, 2000) <= 24 + 2 * END


async def test_retry_cause_has_the_last_error_and_the_first_time(
    connection: Connection, shards: list[ShardKeys]
) -> None:
    assert (await look(connection, shards)).retry_cause is None
    for shard, phone in ((shards[0], "a"), (shards[-1], "b")):
        await leave(connection, shard, phone)
        deliveries, [entry] = await read(connection, shard)
        await deliveries.schedule_retry(phone, [entry.id], wait_ms=60_000, error=f"first of {phone}")
        await until(lambda: _later(connection, shards))
        await deliveries.schedule_retry(
            phone, [entry.id], wait_ms=60_000, error=f"last of {phone}", attempts=1
        )
    seen = (await look(connection, shards)).retry_cause
    assert seen is not None
    assert seen.error == "last of b"
    assert seen.since_ms < seen.at_ms


async def _later(connection: Connection, shards: list[ShardKeys]) -> bool:
    seen = (await look(connection, shards)).retry_cause
    return seen is not None and await connection.now_ms(SHARD) > seen.at_ms


async def test_phone_without_an_attempt_has_no_error(connection: Connection, shards: list[ShardKeys]) -> None:
    await leave(connection, shards[0], "a")
    deliveries, [entry] = await read(connection, shards[0])
    await deliveries.schedule_retry("a", [entry.id], wait_ms=0)
    assert (await look(connection, shards)).retry_cause is None


async def test_sink_is_stalled_while_something_is_left_and_no_attempt_ends(
    timed: Connection, clock: VirtualClock, shards: list[ShardKeys]
) -> None:
    assert (await look(timed, shards)).stalled_ms is None
    await leave(timed, shards[0], "a")
    await clock.advance(5000)
    assert (await look(timed, shards)).stalled_ms is None, "nobody delivers: that is another finding"
    deliveries, [entry] = await read(timed, shards[0])
    assert (await look(timed, shards)).stalled_ms == 0, "a daemon has begun just now"
    await clock.advance(5000)
    assert (await look(timed, shards)).stalled_ms == 5000
    await deliveries.schedule_retry("a", [entry.id], wait_ms=60_000 - 5000, error="no")
    await clock.advance(50_000)
    assert (await look(timed, shards)).stalled_ms is None, "everything waits for its time"
    await clock.advance(7000)
    assert (await look(timed, shards)).stalled_ms is None, "its lease ran out meanwhile"
    await deliveries.lease("test", 60_000)
    await clock.advance(2500)
    assert (await look(timed, shards)).stalled_ms == 2500
    await deliveries.acknowledge("a", entry.id)
    assert (await look(timed, shards)).stalled_ms is None


async def test_missing_message_is_counted_apart(
    timed: Connection, clock: VirtualClock, shards: list[ShardKeys]
) -> None:
    await leave(timed, shards[-1], "a")
    deliveries, [entry] = await read(timed, shards[-1])
    await timed.call("XDEL", shards[-1].out, entry.id)
    await deliveries.acknowledge_missing("a", entry)
    await clock.advance(1234)
    seen = await look(timed, shards)
    assert (seen.delivered, seen.missing, seen.missing_ago_ms) == (0, 1, 1234)


async def test_group_of_a_sink_that_is_not_configured_is_orphaned(
    connection: Connection, shards: list[ShardKeys]
) -> None:
    for shard in shards:
        await leave(connection, shard, "a")
        await read(connection, shard)
        await leave(connection, shard, "b")
        await ensure_groups(connection, shard, ["bots"])
        await DeliveryQueue(connection, shard, "crm").lease("test", 0)
    groups = (await pending_on(connection, shards)).groups
    assert await read_orphaned_groups(connection, shards, groups, [CRM]) == []
    [group] = await read_orphaned_groups(connection, shards, groups, [])
    assert (group.sink, group.shards, group.served) == ("crm", tuple(shards), False)
    assert group.pending == await shown_lag(connection, 2 * len(shards))
    await DeliveryQueue(connection, shards[-1], "crm").lease("daemon", 60_000)
    [group] = await read_orphaned_groups(connection, shards, groups, [])
    assert group.served


async def test_idle_time_of_a_group_is_shown(connection: Connection) -> None:
    [shard] = Keyspace().all()
    await leave(connection, shard, "a")
    await ensure_groups(connection, shard, ["bots"])
    assert [group.idle_ms for group in (await pending_on(connection, [shard])).groups] == [None]
    for worker in ("first", "second"):
        await connection.call("XREADGROUP", "GROUP", "bots", worker, "STREAMS", shard.out, ">")
    [seen] = (await pending_on(connection, [shard])).groups
    assert seen.idle_ms is not None
    assert seen.idle_ms < 60_000


def test_configured_sinks_have_their_groups(tmp_path: Path) -> None:
    settings = configure(
        "redis://127.0.0.1:1/0", tmp_path,
        sinks__crm__type="http", sinks__crm__url="https://crm.example.com/",
        sinks__bot__type="stream", sinks__bot__group="bots",
        sinks__copy__type="stream", sinks__copy__key="copies",
    ).settings  # fmt: skip
    assert {sink.name: (sink.group, sink.forwarded) for sink in list_configured_sinks(settings)} == {
        "crm": ("rfctl:crm", True),
        "bot": ("bots", False),
        "copy": ("rfctl:copy", True),
    }


async def test_what_workers_get_again_is_left_too(connection: Connection, shards: list[ShardKeys]) -> None:
    outlet = ConfiguredSink("workers", "stream", "bot", forwarded=False)
    for shard in shards:
        await ensure_groups(connection, shard, ["bot"])
        await connection.call("XADD", shard.worker("bot").again, "*", "phone", "p")
    seen = await look(connection, shards, outlet)
    assert (seen.lag, seen.unacknowledged, seen.again) == (
        await shown_lag(connection, 0), 0, len(shards),
    )  # fmt: skip
    assert count_left(seen) == await shown_lag(connection, len(shards))
