"""What the scripts about deliveries leave behind when Redis refuses one of their commands, or has no memory left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rfctl.errors import CredentialsRefusedError, KeyTakenError, ReplyError
from rfctl.model.closed_sets import RedisType
from rfctl.model.delivery import MAX_VALUES, RedisWrite
from rfctl.store import SinkPausedError, replies
from rfctl.store.connection import Connection
from rfctl.store.dead_letters import DeadLetters
from rfctl.store.deliveries import DeliveryQueue, parse_lease
from rfctl.store.output_stream import OutputStream, ensure_groups
from rfctl.store.paused_sinks import PausedSinks
from rfctl.store.stream_entry import StreamEntry
from tests.support.clock import VirtualClock
from tests.support.forwarding import deliveries, hand_over, left
from tests.support.keys import SHARD
from tests.support.servers import patient_address

REFUSED = (CredentialsRefusedError, ReplyError)
TAKING_OFF = ["xack", "zrem", "hdel", "xpending"]


@pytest.fixture
async def poor(connection: Connection) -> AsyncIterator[Connection]:
    """A connection of a user whose rights the test takes away."""
    await connection.call("ACL", "SETUSER", "poor", "reset", "on", ">pw", "~*", "&*", "+@all")
    url = connection.address.url.replace("redis://", "redis://poor:pw@")
    opened = Connection.open(patient_address(url))
    yield opened
    await opened.close()
    await connection.call("ACL", "DELUSER", "poor")


async def read_one(connection: Connection, *messages: tuple[str, str]) -> list[StreamEntry]:
    await hand_over(connection, *(messages or (("7", "a"),)))
    queue = deliveries(connection)
    await queue.open()
    await queue.lease("test", 60_000)
    return await queue.read_new(10, 1, "test") or []


async def refuse(connection: Connection, command: str) -> None:
    await connection.call("ACL", "SETUSER", "poor", f"-{command}")


async def allow(connection: Connection, command: str) -> None:
    await connection.call("ACL", "SETUSER", "poor", f"+{command}")


@pytest.mark.parametrize("command", [*TAKING_OFF, "rpush"])
async def test_message_is_written_and_acknowledged_or_stays(
    connection: Connection, poor: Connection, command: str
) -> None:
    [entry] = await read_one(connection)
    write = RedisWrite("list", "inbox", ["a"])
    await refuse(connection, command)
    with pytest.raises(REFUSED, match=r"permissions|can't run"):
        await deliveries(poor).write_and_acknowledge(entry, write)
    assert (await left(connection))[0] == 1
    assert await connection.call("LLEN", "inbox") == 0
    await allow(connection, command)
    for _ in range(2):  # the second is a call whose first answer was lost
        await deliveries(poor).write_and_acknowledge(entry, write)
    assert await connection.call("LRANGE", "inbox", 0, -1) == [b"a"]
    assert (await left(connection))[0] == 0


@pytest.mark.parametrize("command", [*TAKING_OFF, "xadd"])
async def test_message_becomes_a_dead_letter_or_stays(
    connection: Connection, poor: Connection, command: str
) -> None:
    [entry] = await read_one(connection)
    await refuse(connection, command)
    with pytest.raises(REFUSED, match=r"permissions|can't run"):
        await deliveries(poor).dead_letter(entry, "no")
    room = DeadLetters(connection, [SHARD])
    assert ((await left(connection))[0], await room.count()) == (1, 0)
    await allow(connection, command)
    for _ in range(2):
        await deliveries(poor).dead_letter(entry, "no")
    assert ((await left(connection))[0], await room.count()) == (0, 1)


@pytest.mark.parametrize("command", ["hset", "zadd", "hdel", "xdel"])
async def test_dead_letter_is_sent_again_or_stays(
    connection: Connection, poor: Connection, command: str
) -> None:
    [entry] = await read_one(connection)
    await deliveries(connection).dead_letter(entry, "no")
    room = DeadLetters(connection, [SHARD])
    [letter] = await room.list_newest()
    await refuse(connection, command)
    with pytest.raises(REFUSED, match=r"permissions|can't run"):
        await DeadLetters(poor, [SHARD]).retry(letter)
    assert await room.count() == 1
    await allow(connection, command)
    assert await DeadLetters(poor, [SHARD]).retry(letter)
    assert await room.count() == 0
    assert (await deliveries(connection).fetch(entry.id, "7")).merged.text == "a"


# --- several messages in a call


async def write_together(
    queue: DeliveryQueue, entries: list[StreamEntry], *keys: str, kind: RedisType = "list"
) -> list[str | BaseException]:
    """Write each of these at the same moment, the number behind its phone as its value."""
    writes = [
        RedisWrite(kind, key, ["n", entry.phone][kind == "list" :])
        for entry, key in zip(entries, keys, strict=True)
    ]
    return await asyncio.gather(
        *(queue.write_and_acknowledge(entry, write) for entry, write in zip(entries, writes, strict=True)),
        return_exceptions=True,
    )


@pytest.mark.parametrize("kind", ["list", "stream"])
async def test_wrong_key_of_a_message_holds_up_no_other_of_its_call(
    connection: Connection, kind: RedisType
) -> None:
    entries = await read_one(connection, ("7", "a"), ("8", "b"), ("9", "c"))
    await connection.call("SET", "taken", "x")
    queue = deliveries(connection)
    await connection.load_scripts()  # a call that finds no script is made twice
    before = await count_calls(connection)
    first, taken, last = await write_together(queue, entries, "inbox", "taken", "inbox", kind=kind)
    assert (first, last) == ("", "")
    assert isinstance(taken, KeyTakenError)
    assert "taken is a string" in taken.fact
    assert await count_calls(connection) - before == 1
    assert await connection.call("LLEN" if kind == "list" else "XLEN", "inbox") == 2
    assert await connection.call("GET", "taken") == b"x"
    assert (await left(connection))[0] == 1, "what was not written is not acknowledged"
    await connection.call("DEL", "taken")
    for _ in range(2):  # the second is a call whose first answer was lost
        assert await write_together(queue, entries, "inbox", "taken", "inbox", kind=kind) == ["", "", ""]
    assert await connection.call("LLEN" if kind == "list" else "XLEN", "inbox") == 2
    assert (await left(connection))[0] == 0
    totals = await connection.call("HGET", SHARD.totals, "sink:bot:delivered")
    assert int(totals) == 3


async def count_calls(connection: Connection) -> int:
    """Return how many scripts the server has run by their hash."""
    lines = replies.text(await connection.call("INFO", "commandstats")).splitlines()
    return next(
        (
            int(line.partition("calls=")[2].partition(",")[0])
            for line in lines
            if line.startswith("cmdstat_evalsha:")
        ),
        0,
    )


async def test_key_that_is_denied_to_a_message_holds_up_no_other_of_its_call(
    connection: Connection, poor: Connection
) -> None:
    entries = await read_one(connection, ("7", "a"), ("8", "b"), ("9", "c"))
    await connection.call("ACL", "SETUSER", "poor", "resetkeys", "~rfctl:*", "~inbox")
    first, denied, last = await write_together(deliveries(poor), entries, "inbox", "denied", "inbox")
    assert (first, last) == ("", "")
    assert isinstance(denied, CredentialsRefusedError)
    assert await connection.call("LRANGE", "inbox", 0, -1) == [b"7", b"9"]
    assert (await left(connection))[0] == 1


async def test_messages_are_acknowledged_together_and_each_gets_its_follower(connection: Connection) -> None:
    entries = await read_one(connection, ("7", "a"), ("8", "b"), ("9", "c"), ("8", "d"))
    queue = deliveries(connection)
    await queue.schedule_retry("8", [entries[1].id, entries[3].id], wait_ms=0)
    await connection.load_scripts()  # a call that finds no script is made twice
    before = await count_calls(connection)
    followers = await asyncio.gather(*(queue.acknowledge(each.batch_key, each.id) for each in entries[:3]))
    assert followers == ["", entries[3].id, ""]
    assert await count_calls(connection) - before == 1
    assert (await left(connection))[:2] == (1, 1)
    assert int(await connection.call("HGET", SHARD.totals, "sink:bot:delivered")) == 3


async def test_many_large_writes_at_once_go_in_short_calls(connection: Connection) -> None:
    entries = await read_one(connection, *((f"{n}", "x") for n in range(10)))
    queue = deliveries(connection)
    writes = [RedisWrite("list", "inbox", [entry.phone + "x" * 100_000]) for entry in entries]
    await connection.load_scripts()  # a call that finds no script is made twice
    before = await count_calls(connection)
    await asyncio.gather(*map(queue.write_and_acknowledge, entries, writes))
    assert await count_calls(connection) - before == 5, "two a call"
    assert await connection.call("LLEN", "inbox") == 10


async def test_waiting_message_is_read_only_if_there_is_room_for_it(connection: Connection) -> None:
    [entry] = await read_one(connection, ("7", "x" * 1000))
    queue = deliveries(connection)
    assert await queue.fetch_within(1000, entry.id, "7") is None
    fetched = await queue.fetch_within(5000, entry.id, "7")
    assert fetched is not None
    assert fetched.fields == entry.fields
    await connection.call("XDEL", SHARD.out, entry.id)
    assert (await queue.fetch(entry.id, "7")).fields is None


async def test_paused_sink_reads_nothing(connection: Connection) -> None:
    [first] = await read_one(connection)
    queue = deliveries(connection)
    await hand_over(connection, ("8", "b"))
    await PausedSinks(connection, SHARD).pause("bot", "lunch")
    with pytest.raises(SinkPausedError, match="sink bot is paused"):
        await queue.read_new(10, 1, "test")
    with pytest.raises(SinkPausedError, match="sink bot is paused"):
        await queue.read_unacknowledged("0-0", 10, "test")
    await PausedSinks(connection, SHARD).resume("bot")
    assert await queue.read_unacknowledged("0-0", 10, "test") == [first]
    assert len(await queue.read_new(10, 1, "test") or []) == 1


# --- what only watches, and keys of another kind


async def test_counters_fail_no_delivery(connection: Connection, poor: Connection) -> None:
    entries = await read_one(connection, ("7", "a"), ("8", "b"), ("9", "c"))
    await refuse(connection, "hincrby")
    await connection.call("SET", "rfctl:sink:bot:progress", "another program's")
    queue = deliveries(poor)
    await queue.write_and_acknowledge(entries[0], RedisWrite("list", "inbox", ["a"]))
    await queue.acknowledge("8", entries[1].id)
    await queue.dead_letter(entries[2], "no")
    assert (await left(connection))[0] == 0


@pytest.mark.parametrize("key", ["waiting", "retry", "attempts", "bodies"])
async def test_key_of_another_kind_leaves_the_message_where_it_was(connection: Connection, key: str) -> None:
    [entry] = await read_one(connection)
    queue = deliveries(connection)
    taken = getattr(SHARD.sink("bot"), key)
    await connection.call("SET", taken, "x")
    with pytest.raises(KeyTakenError):
        await queue.write_and_acknowledge(entry, RedisWrite("list", "inbox", ["a"]))
    with pytest.raises(KeyTakenError):
        await queue.dead_letter(entry, "no")
    assert await connection.call("EXISTS", "inbox", SHARD.dead) == 0
    await connection.call("DEL", taken)
    assert (await left(connection))[0] == 1


async def test_entry_with_too_many_fields_for_a_script_becomes_a_dead_letter_and_comes_back(
    connection: Connection,
) -> None:
    fields = ["phone", "7", "text", "a", *("x\udcff" if n % 2 else f"f{n}" for n in range(2 * MAX_VALUES))]
    raw = [field.encode(errors="surrogateescape") for field in fields]
    await connection.call("XADD", SHARD.out, "*", *raw)
    queue = deliveries(connection)
    await queue.open()
    await queue.lease("test", 60_000)
    [entry] = await queue.read_new(10, 1, "test") or []
    await queue.dead_letter(entry, "too large")
    room = DeadLetters(connection, [SHARD])
    [letter] = await room.list_newest()
    assert letter.entry.fields == raw
    assert await room.retry(letter)
    assert (await queue.fetch(entry.id, "7")).fields == raw


async def test_missing_message_is_not_counted_as_delivered(connection: Connection) -> None:
    [entry, other] = await read_one(connection, ("7", "a"), ("8", "b"))
    queue = deliveries(connection)
    await connection.call("XDEL", SHARD.out, entry.id)
    await queue.acknowledge_missing("7", entry)
    await queue.acknowledge("8", other.id)
    totals = await connection.call("HGETALL", SHARD.totals)
    counts = dict(zip(totals[::2], totals[1::2], strict=True))
    assert (counts[b"sink:bot:missing"], counts[b"sink:bot:delivered"]) == (b"1", b"1")


async def test_full_redis_takes_everything_that_lets_deliveries_go_on(connection: Connection) -> None:
    entries = await read_one(connection, ("7", "a"), ("8", "b"), ("9", "c"), ("5", "d"))
    queue = deliveries(connection)
    await connection.call("CONFIG", "SET", "maxmemory", 1)
    await queue.schedule_retry("7", [entries[0].id], wait_ms=0, error="no")
    await queue.dead_letter(entries[1], "no")
    await queue.write_and_acknowledge(entries[2], RedisWrite("stream", "copy", ["a", "b"]))
    await PausedSinks(connection, SHARD).pause("bot", "no")
    room = DeadLetters(connection, [SHARD])
    [letter] = await room.list_newest()
    assert await room.retry(letter)
    assert await queue.retry_now() == 0
    assert sorted((await queue.find_due(10))[0]) == ["7", "8"]
    assert await PausedSinks(connection, SHARD).contains("bot")


async def test_message_that_is_sent_again_is_written_once(connection: Connection) -> None:
    [entry] = await read_one(connection)
    queue = deliveries(connection)
    await queue.dead_letter(entry, "no")
    room = DeadLetters(connection, [SHARD])
    [letter] = await room.list_newest()
    assert await room.retry(letter)
    again = await queue.fetch(entry.id, "7")
    for _ in range(2):  # the second is a call whose first answer was lost
        await queue.write_and_acknowledge(again, RedisWrite("list", "inbox", ["a"]))
    assert await connection.call("LRANGE", "inbox", 0, -1) == [b"a"]
    assert await left(connection) == (0, 0, 0, 0, 0)


# --- the lease and the retries, by the steady clock


async def test_nothing_is_read_when_the_lease_has_run_out(timed: Connection, clock: VirtualClock) -> None:
    await hand_over(timed, ("7", "a"), ("8", "b"))
    queue = deliveries(timed)
    await queue.open()
    await queue.lease("test", 3000)
    await clock.advance(2999)
    [entry] = await queue.read_new(1, 1, "test") or []
    await clock.advance(1)
    assert await queue.read_new(10, 1, "test") is None
    assert await queue.read_unacknowledged("0-0", 10, "test") is None
    await queue.lease("test", 3000)
    assert await queue.read_unacknowledged("0-0", 10, "test") == [entry]


async def test_lease_ends_by_the_steady_clock_alone(timed: Connection, clock: VirtualClock) -> None:
    queue = deliveries(timed)
    assert await queue.lease("first", 3000)
    assert await timed.call("PTTL", SHARD.sink("bot").lease) == -1
    await clock.advance(2999)
    assert not await queue.lease("second", 3000)
    await clock.advance(1)
    assert await queue.lease("second", 3000)
    assert not await queue.lease("first", 3000)
    await queue.lease("second", 0)
    assert await queue.lease("first", 3000)


async def test_any_name_of_a_daemon_has_the_lease_that_it_took(connection: Connection) -> None:
    await hand_over(connection, ("7", "a"))
    queue = deliveries(connection)
    await queue.open()
    assert await queue.lease("a name 7", 60_000)
    assert not await queue.lease("another", 60_000)
    assert len(await queue.read_new(10, 1, "a name 7") or []) == 1
    assert parse_lease(await connection.call("GET", SHARD.sink("bot").lease), 0) == "a name 7"


@pytest.mark.parametrize("value", ["layout-one", "", "first x", "a b c"])
async def test_value_that_is_no_lease_blocks_nobody(connection: Connection, value: str) -> None:
    await connection.call("SET", SHARD.sink("bot").lease, value)
    assert await deliveries(connection).lease("first", 3000)


async def test_lease_of_another_time_is_clamped(timed: Connection, clock: VirtualClock) -> None:
    queue = deliveries(timed)
    await queue.lease("first", 3000)
    await clock.advance(-3_600_000)
    assert not await queue.lease("second", 3000)
    await clock.advance(3001)
    assert await queue.lease("second", 3000)


async def test_retry_of_another_time_is_clamped_at_a_take_over(
    timed: Connection, clock: VirtualClock
) -> None:
    queue = deliveries(timed)
    for n in range(1500):
        await queue.schedule_retry(f"{n}", [f"{n + 1}-0"], wait_ms=5000, error="no", fixed=n % 2 == 0)
    await clock.advance(-3_600_000)
    await queue.open(60_000)
    due, next_ms = await queue.find_due(10)
    assert (due, next_ms) == ([], 60_000)
    await clock.advance(60_000)
    assert len((await queue.find_due(2000))[0]) == 1500


# --- pages by bytes, and trimming in short calls


async def test_read_ends_with_the_entry_that_fills_a_page(connection: Connection) -> None:
    big = "x" * 700_000
    for _ in range(5):
        await connection.call("XADD", SHARD.out, "*", "phone", "7", "text", big)
    queue = deliveries(connection)
    await queue.open()
    await queue.lease("test", 60_000)
    pages = [await queue.read_new(100, 1, "test") or [] for _ in range(3)]
    assert [len(page) for page in pages] == [2, 2, 1]
    again = await queue.read_unacknowledged("0-0", 100, "test") or []
    assert [entry.id for entry in again] == [entry.id for entry in pages[0]]
    behind = await queue.read_unacknowledged(again[-1].id, 100, "test") or []
    assert [entry.id for entry in behind] == [entry.id for entry in pages[1]]


async def test_trim_waits_for_the_groups_of_all_sinks(connection: Connection) -> None:
    [entry] = await read_one(connection)
    await deliveries(connection).acknowledge("7", entry.id)
    stream = OutputStream(connection, [SHARD])
    limits: dict[str, Any] = {"retention_s": 0, "retention_entries": 0}
    assert await stream.trim(**limits, groups=["rfctl:bot", "rfctl:late"]) == 0
    await ensure_groups(connection, SHARD, ["rfctl:late"])
    assert await stream.trim(**limits, groups=["rfctl:bot", "rfctl:late"]) == 0
    late = DeliveryQueue(connection, SHARD, "late")
    await late.lease("test", 60_000)
    [late_entry] = await late.read_new(10, 1, "test") or []
    await late.acknowledge("7", late_entry.id)
    assert await stream.trim(**limits, groups=["rfctl:bot", "rfctl:late"]) == 1


async def test_each_call_of_a_long_trim_removes_a_limited_number(connection: Connection) -> None:
    script = "for i=1,5000 do redis.call('XADD', KEYS[1], '*', 'phone', '7', 'text', ARGV[1]) end"
    await connection.call("EVAL", script, 1, SHARD.out, "x" * 100)
    await ensure_groups(connection, SHARD, ["g"])
    await connection.call("XGROUP", "SETID", SHARD.out, "g", "$")
    clock = await VirtualClock.start(connection)
    await clock.advance(1000)
    timed = clock.open(connection.address)
    counts = []
    more: Any = 1
    while more:
        count, more = await timed.run("trim", SHARD, [SHARD.out], [0, 0, 500, "g"])
        counts.append(count)
    await timed.close()
    assert sum(counts) == 5000
    assert max(counts) < 700, "Redis serves others in between"


async def test_pause_asked_for_again_does_not_undo_a_resume(connection: Connection) -> None:
    queue, pauses = deliveries(connection), PausedSinks(connection, SHARD)
    await queue.pause("gone", 1)
    await pauses.resume("bot")
    await queue.pause("gone", 1)
    assert not await pauses.contains("bot")
    await queue.pause("gone again", 2)
    assert await pauses.contains("bot")


async def test_pause_of_another_daemon_counts_by_itself(connection: Connection) -> None:
    pauses = PausedSinks(connection, SHARD)
    await deliveries(connection).pause("gone", 2)
    await pauses.resume("bot")
    await deliveries(connection).pause("gone", 1)
    assert await pauses.contains("bot")
