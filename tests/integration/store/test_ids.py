"""How long an id is remembered, and what that costs, on a real server and a clock that the test moves."""

from __future__ import annotations

import random
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


def message(number: int, phone: str = "7", channel: str = "generic") -> Message:
    return Message(phone=phone, text="x", id=str(number), channel=channel)


async def read_windows(connection: Connection) -> dict[str, str]:
    """The segments of each window, without the plans of what to ask."""
    fields = replies.fields(await connection.call("HGETALL", SHARD.ids))
    return {name: value.decode() for name, value in fields.items() if ":" not in name}


async def count_lookups(connection: Connection, rig: Rig, *messages: Message) -> int:
    """Store messages, and return how often a set of ids was asked."""
    await connection.call("CONFIG", "RESETSTAT")
    assert all(added.added for added in await rig.add(messages))
    used = (await connection.call("INFO", "commandstats")).decode()
    return sum(int(calls) for calls in re.findall(r"cmdstat_sismember:calls=(\d+)", used))


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
    assert list(await read_windows(timed)) == [str(2 * WINDOW_S)], (
        "the window that nobody uses any more is gone"
    )


@pytest.mark.parametrize("seed", range(6))
async def test_no_id_comes_twice_whatever_sources_windows_and_times(
    timed: Connection, clock: VirtualClock, seed: int
) -> None:
    """Sources share windows, change them, fall silent, and come together in one call."""
    chance = random.Random(seed)
    sources, windows, now = ["generic", "telegram", "sms"], [WINDOW_S, 2 * WINDOW_S, 400], 0
    until: dict[tuple[str, int], int] = {}
    of_source = dict.fromkeys(sources, WINDOW_S)
    for _ in range(120):
        if chance.random() < 0.15:
            of_source[chance.choice(sources)] = chance.choice(windows)
        step = chance.choice([0, 0, 1, 100_000, 200_000, 200_001, WINDOW_MS // 2, WINDOW_MS // 2 + 1])
        now += step
        await clock.advance(step)
        ids = [(source, chance.randrange(12)) for source in chance.sample(sources, chance.randint(1, 3))]
        rig = make_rig(timed, source_dedupe_s=of_source)
        added = await rig.add([message(number, channel, channel) for channel, number in ids])
        for id_, result in zip(ids, added, strict=True):
            assert not (result.added and now <= until.get(id_, -1)), (id_, now)
            if result.added:
                until[id_] = now + of_source[id_[0]] * 1000
    assert len(until) > 20


async def test_message_asks_the_ids_of_its_own_kind_alone(timed: Connection) -> None:
    windows = {f"source{number}": WINDOW_S + number for number in range(5)}
    rig = make_rig(timed, dedupe_s=WINDOW_S * 2, source_dedupe_s=windows)
    for source in windows:
        await rig.add([message(number, source, source) for number in range(20)])
    await rig.add([message(0)])
    assert await count_lookups(timed, rig, message(1)) == 1
    assert await count_lookups(timed, rig, message(2), message(30, "source1", "source1")) == 2


async def test_window_that_is_changed_and_changed_back_forgets_nothing(timed: Connection) -> None:
    """What is to be asked is planned, and the plan of the first window is still in force."""
    rig, other = make_rig(timed, dedupe_s=WINDOW_S), make_rig(timed, dedupe_s=2 * WINDOW_S)
    await rig.add([message(1)])
    await other.add([message(2)])
    assert not await is_taken(rig, 2)


async def test_ids_without_a_kind_are_asked_by_all(timed: Connection) -> None:
    """Segments were written without kinds before there were any."""
    await make_rig(timed, dedupe_s=WINDOW_S).add([message(1)])
    line = (await read_windows(timed))[str(WINDOW_S)].rpartition(":")[0]
    await timed.call("DEL", SHARD.ids)
    await timed.call("HSET", SHARD.ids, WINDOW_S, line)
    other = make_rig(timed, dedupe_s=2 * WINDOW_S)
    await other.add([message(2)])
    assert not await is_taken(other, 1)
    await make_rig(timed, dedupe_s=WINDOW_S).add([message(3)])
    assert not await is_taken(other, 1)
    assert not await is_taken(other, 3)


async def test_segment_behind_a_full_one_knows_all_kinds_of_its_call(timed: Connection) -> None:
    rig = make_rig(timed, dedupe_s=WINDOW_S)
    await rig.add([message(1, channel, channel) for channel in ("generic", "telegram")])
    [number, _, count, *_] = (await read_windows(timed))[str(WINDOW_S)].split(":")
    for part in range(int(count)):
        await timed.call("SADD", f"{SHARD.ids}:{WINDOW_S}:{number}:{part}", *range(256))
    first, size = 2, 1
    while size == 1:
        # Some messages look whether their part is full. Nearly always this is one of the many.
        messages = [message(first + place, "generic") for place in range(32)]
        messages.append(message(first, "telegram", "telegram"))
        assert all(added.added for added in await rig.add(messages))
        first, size = first + 32, len((await read_windows(timed))[str(WINDOW_S)].split(";"))
    newest, before = (segment.split(":") for segment in (await read_windows(timed))[str(WINDOW_S)].split(";"))
    assert newest[4] == before[4]
    later = make_rig(timed, dedupe_s=2 * WINDOW_S)
    assert not any(added.added for added in await later.add(messages))


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
    assert await count_lookups(timed, rig, message(90_000)) <= 5, await read_windows(timed)


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
