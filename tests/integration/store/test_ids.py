"""How long an id is remembered, and what that costs, on a real server and a clock that the test moves."""

from __future__ import annotations

import re

import pytest

from rfctl.model.message import Message
from rfctl.store import Addition, Keyspace, Terms, batch_key_of, dedupe_key, replies
from rfctl.store.connection import Connection
from tests.support.batching import Rig, make_rig
from tests.support.clock import VirtualClock
from tests.support.keys import SHARD

WINDOW_S = 1000
WINDOW_MS = WINDOW_S * 1000


def message(number: int, phone: str = "7") -> Message:
    return Message(phone=phone, text="x", id=str(number), channel="generic")


async def is_taken(rig: Rig, number: int) -> bool:
    [added] = await rig.add([message(number)])
    return added.added


async def send(rig: Rig, first: int, count: int, each: int = 250) -> None:
    for start in range(first, first + count, each):
        page = range(start, min(start + each, first + count))
        assert all(added.added for added in await rig.add([message(number) for number in page]))


async def parts(connection: Connection) -> list[str]:
    """The keys of all parts of all segments."""
    return replies.texts(await connection.call("KEYS", f"{SHARD.ids}:*"))


@pytest.mark.parametrize("age_ms", [0, WINDOW_MS // 2, WINDOW_MS - 1, WINDOW_MS])
@pytest.mark.parametrize("offset_ms", [0, 1, WINDOW_MS // 2 - 1, WINDOW_MS // 2, WINDOW_MS // 2 + 1])
async def test_id_is_remembered_for_the_whole_window(
    timed: Connection, clock: VirtualClock, age_ms: int, offset_ms: int
) -> None:
    rig = make_rig(timed, dedupe_s=WINDOW_S)
    await rig.add([message(0)])
    await clock.advance(offset_ms)
    await rig.add([message(1)])
    for number in range(2, 10):  # traffic, so that segments begin and end
        await clock.advance(age_ms // 8)
        await rig.add([message(number)])
    await clock.advance(age_ms - age_ms // 8 * 8)
    assert not await is_taken(rig, 1)


@pytest.mark.parametrize("shards", [0, 4])
async def test_id_whose_phone_becomes_another_is_taken_once_in_each_shard(
    connection: Connection, shards: int
) -> None:
    """A script writes in one slot alone: the mark of an id lies in the shard of its batch. So it comes twice at most."""
    rig = make_rig(connection, shards)
    phones = ["7", next(str(number) for number in range(8, 99) if is_elsewhere(rig, "7", str(number)))]
    ids = [
        Message(phone=phone, text="x", id="1", channel="generic", id_scope=("shop",))
        for phone in [*phones, *phones]
    ]
    taken = [(await rig.add([message]))[0].added for message in ids]
    assert taken == [True, bool(shards), False, False]


def is_elsewhere(rig: Rig, phone: str, other: str) -> bool:
    """Say whether two phones lie in two shards; without shards, any two will do."""
    keyspace = Keyspace(len(rig.shards))
    return not rig.shards[1:] or keyspace.index_of(phone) != keyspace.index_of(other)


async def test_id_is_forgotten_and_its_memory_freed_behind_the_window(
    timed: Connection, clock: VirtualClock
) -> None:
    rig = make_rig(timed, dedupe_s=WINDOW_S, max_size=1)
    await send(rig, 0, 2000)
    before = set(await parts(timed))
    assert len(before) > 4
    await clock.advance(WINDOW_MS // 2 + 1)
    await send(rig, 10_000, 1)
    await clock.advance(WINDOW_MS + 1)
    for number in range(20_000, 20_000 + len(before)):
        await send(rig, number, 1)
    assert not before & set(await parts(timed))
    assert await is_taken(rig, 0)


async def test_no_call_frees_more_than_a_few_small_parts(timed: Connection, clock: VirtualClock) -> None:
    rig = make_rig(timed, dedupe_s=WINDOW_S, max_size=1)
    await send(rig, 0, 5000)
    sizes = [replies.integer(await timed.call("SCARD", key)) for key in await parts(timed)]
    assert max(sizes) <= 512
    await clock.advance(WINDOW_MS // 2 + 1)
    await send(rig, 10_000, 1)
    await clock.advance(WINDOW_MS + 1)
    count = len(await parts(timed))
    for number in range(20_000, 20_100):
        await send(rig, number, 1)
        left = len(await parts(timed))
        assert count - left <= 9
        count = left


@pytest.mark.parametrize("jump_ms", [-86_400_000, -3_600_000, -50_000])
async def test_id_survives_a_clock_that_jumps_back(
    timed: Connection, clock: VirtualClock, jump_ms: int
) -> None:
    rig = make_rig(timed, dedupe_s=WINDOW_S)
    await rig.add([message(1)])
    await clock.advance(jump_ms)
    assert not await is_taken(rig, 1)
    await rig.add([message(2)])
    await clock.advance(WINDOW_MS)
    assert not await is_taken(rig, 2)
    assert not await is_taken(rig, 1)


async def test_nothing_about_ids_expires(timed: Connection) -> None:
    rig = make_rig(timed, dedupe_s=WINDOW_S)
    await rig.add([message(1)])
    for key in [SHARD.ids, *await parts(timed)]:
        assert await timed.call("PTTL", key) == -1


async def test_id_stays_known_when_its_window_is_changed(timed: Connection, clock: VirtualClock) -> None:
    await make_rig(timed, dedupe_s=WINDOW_S).add([message(1)])
    other = make_rig(timed, dedupe_s=2 * WINDOW_S)
    assert not await is_taken(other, 1)
    await clock.advance(WINDOW_MS + 1)
    await other.add([message(2)])
    await clock.advance(WINDOW_MS + 1)
    for number in range(3, 12):
        await other.add([message(number)])
    fields = replies.fields(await timed.call("HGETALL", SHARD.ids))
    assert list(fields) == [str(2 * WINDOW_S)], "the window that nobody uses any more is gone"


@pytest.mark.parametrize("shape", ["even", "burst first", "burst last", "one a call"])
async def test_id_costs_few_bytes(timed: Connection, clock: VirtualClock, shape: str) -> None:
    """Whatever the traffic: 10,000 ids within a window take at most 25 bytes each."""
    rig = make_rig(timed, dedupe_s=WINDOW_S, max_size=1)
    counts = {
        "even": [1000] * 10,
        "burst first": [9100, *[100] * 9],
        "burst last": [*[100] * 9, 9100],
        "one a call": [1000] * 10,
    }[shape]
    first = 0
    for count in counts:
        await send(rig, first, count, 1 if shape == "one a call" else 250)
        first += count
        await clock.advance(WINDOW_MS // 12)
    for key in (SHARD.out, SHARD.due, SHARD.totals, "rapid-fire:7", "last-msg:7"):
        await timed.call("DEL", key)
    sizes = [await timed.call("MEMORY", "USAGE", key, "SAMPLES", 0) for key in await parts(timed)]
    assert sum(map(replies.integer, sizes)) / first <= 25


async def test_lookups_stay_few_when_the_traffic_is_steady(timed: Connection, clock: VirtualClock) -> None:
    rig = make_rig(timed, dedupe_s=WINDOW_S, max_size=1)
    for first in range(0, 12_000, 1000):
        await send(rig, first, 1000)
        await clock.advance(WINDOW_MS // 4)
    segments = replies.fields(await timed.call("HGETALL", SHARD.ids))[str(WINDOW_S)].decode().split(";")
    await timed.call("CONFIG", "RESETSTAT")
    await send(rig, 90_000, 1)
    used = (await timed.call("INFO", "commandstats")).decode()
    [asked] = re.findall(r"cmdstat_sismember:calls=(\d+)", used)
    assert int(asked) <= 5, segments


@pytest.mark.parametrize("buckets_ago", [0, 1])
async def test_ids_of_layout_1_are_asked_while_they_exist(
    timed: Connection, clock: VirtualClock, buckets_ago: int
) -> None:
    rig = make_rig(timed, dedupe_s=WINDOW_S)
    now = await timed.now_ms(SHARD) // WINDOW_MS * WINDOW_MS
    await clock.set(now)
    older, terms = b"0123456789abcdef", Terms(WINDOW_S, 5000, 10, 60_000)
    await timed.call("SADD", f"{SHARD.seen_prefix}{WINDOW_S}:{now // WINDOW_MS - buckets_ago}", older)

    def addition(number: int) -> Addition:
        key = dedupe_key("7", str(number))
        return Addition(message(number), batch_key_of("7"), key, terms, older)

    [added] = await rig.batches.add([addition(1)])
    assert added.added, "nobody has said that this Redis had layout 1"
    await timed.call("HSET", SHARD.ids, "older", now + 10_000)
    [added] = await rig.batches.add([addition(2)])
    assert not added.added
    await clock.advance(10_000)
    [added] = await rig.batches.add([addition(2)])
    assert added.added
