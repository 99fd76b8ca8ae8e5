"""What a sweep finds and mends on a real server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rfctl.batching import Caretaker
from rfctl.model.message import Message
from rfctl.observe import findings, take_snapshot
from rfctl.store import Keyspace
from rfctl.store.batch_keys import batch_key_of
from rfctl.store.connection import Connection
from rfctl.store.sweep import Sweep
from tests.support.batching import Rig, make_rig
from tests.support.clock import VirtualClock
from tests.support.keys import COMMON

PHONES = [f"7900{number:07d}" for number in range(5)]


async def say(rig: Rig, phone: str, **more: Any) -> None:
    await rig.add([Message(phone=phone, text="x", id="1", channel="generic", **more)])


def sweep(rig: Rig) -> Sweep:
    return Sweep(rig.connection, Keyspace(len(rig.shards) if len(rig.shards) > 1 else 0), pause_s=0)


async def codes(rig: Rig) -> set[str]:
    return {finding.code for finding in findings(await take_snapshot(rig.store, []))}


@pytest.fixture(params=[0, 4])
def shards(request: Any) -> int:
    return int(request.param)


async def test_lists_of_rfctl_in_no_index_get_into_it_again(
    timed: Connection, clock: VirtualClock, shards: int
) -> None:
    rig = make_rig(timed, shards)
    for place, phone in enumerate(PHONES):
        await say(rig, phone, chat="family" if place % 2 else "")
    for shard in rig.shards:
        await timed.call("DEL", shard.due, shard.phones)
    [key] = await timed.call("KEYS", f"rapid-fire:*{PHONES[0]}")
    await timed.call("PEXPIRE", key, 3_600_000)
    report = await sweep(rig).run("d")
    assert report is not None
    assert (report.put_back, report.taken_out, report.unclaimed) == (5, 0, 0)
    assert await timed.call("PTTL", key) == -1
    for phone in PHONES:
        assert len(await rig.batches.find_batches(phone)) == 1
    await clock.advance(5000)
    assert (await rig.hand_over()).batches == 5


async def test_entry_of_the_index_without_a_list_leaves_it(timed: Connection, shards: int) -> None:
    rig = make_rig(timed, shards)
    await say(rig, PHONES[0])
    await say(rig, PHONES[1], chat="family")
    for key in await timed.call("KEYS", "rapid-fire:*"):
        await timed.call("DEL", key)
    report = await sweep(rig).run("d")
    assert report is not None
    assert report.taken_out == 2
    for shard in rig.shards:
        assert await timed.call("ZCARD", shard.due) == await timed.call("ZCARD", shard.phones) == 0


async def test_lists_of_another_writer_are_found_and_left_alone(timed: Connection, shards: int) -> None:
    rig = make_rig(timed, shards)
    await say(rig, PHONES[0])
    item = json.dumps({"message": "old", "companyId": 1, "metadata": {}, "timestamp": 1})
    for phone in PHONES[1:4]:
        await timed.call("RPUSH", f"rapid-fire:{phone}", item)
    await timed.call("EXPIRE", f"rapid-fire:{PHONES[1]}", 1000)
    await timed.call("SET", "rapid-fire:text", "x")
    report = await sweep(rig).run("d")
    assert report is not None
    assert (report.unclaimed, report.expiring, report.put_back) == (3, 1, 0)
    assert len(report.phones) == 3
    assert await timed.call("LRANGE", f"rapid-fire:{PHONES[1]}", 0, -1) == [item.encode()]
    assert await timed.call("TTL", f"rapid-fire:{PHONES[1]}") > 0
    [finding] = [
        each for each in findings(await take_snapshot(rig.store, [])) if each.code == "lists_unclaimed"
    ]
    assert "3 lists" in finding.fact
    assert "1 of them will expire" in finding.fact


async def test_sweep_changes_nothing_where_all_is_well(timed: Connection, shards: int) -> None:
    rig = make_rig(timed, shards)
    for place, phone in enumerate(PHONES):
        await say(rig, phone, chat="family" if place % 2 else "")
    before = [await timed.call("ZRANGE", shard.due, 0, -1, "WITHSCORES") for shard in rig.shards]
    report = await sweep(rig).run("d")
    assert report is not None
    assert (report.put_back, report.taken_out, report.unclaimed) == (0, 0, 0)
    assert before == [await timed.call("ZRANGE", shard.due, 0, -1, "WITHSCORES") for shard in rig.shards]


async def test_one_daemon_sweeps_at_a_time(timed: Connection) -> None:
    rig = make_rig(timed)
    await timed.call("SET", COMMON.sweep_lease, "another", "EX", 600)
    assert await sweep(rig).run("d") is None
    await timed.call("DEL", COMMON.sweep_lease)
    assert await sweep(rig).run("d") is not None
    assert await timed.call("EXISTS", COMMON.sweep_lease) == 0


async def test_renamed_list_is_noticed_when_its_batch_is_due(timed: Connection, clock: VirtualClock) -> None:
    rig = make_rig(timed)
    now = [0.0]
    caretaker = Caretaker(rig.store, "d", clock=lambda: now[0])
    await caretaker.step()
    await say(rig, PHONES[0])
    await timed.call("RENAME", f"rapid-fire:{PHONES[0]}", f"rapid-fire:{PHONES[1]}")
    await clock.advance(5000)
    await rig.hand_over()
    now[0] = 61.0
    report = await caretaker.step()
    assert report is not None
    assert (report.missing, report.put_back) == (1, 1)
    assert "batches_missing" in await codes(rig)
    await clock.advance(5000)
    assert (await rig.hand_over()).batches == 1
    [merged] = await rig.collect()
    assert merged.batch_key == batch_key_of(PHONES[1])


async def test_caretaker_sweeps_at_the_start_and_once_an_hour(timed: Connection) -> None:
    rig = make_rig(timed)
    now = [0.0]
    caretaker = Caretaker(rig.store, "d", clock=lambda: now[0])
    swept = []
    for at in (0.0, 5.0, 3599.0, 3600.0, 3605.0):
        now[0] = at
        swept.append(await caretaker.step() is not None)
    assert swept == [True, False, False, True, False]


async def test_sweep_reads_a_long_index_in_short_calls(connection: Connection) -> None:
    rig = make_rig(connection)
    fill = (
        "for i=ARGV[1],ARGV[1]+999 do redis.call('ZADD', KEYS[1], 9e12, 'p'..i) "
        "redis.call('RPUSH', 'rapid-fire:p'..i, 'x') end"
    )
    for first in range(1, 10_001, 1_000):
        await connection.call("EVAL", fill, 1, "rfctl:due", first)
    await connection.call("CONFIG", "RESETSTAT")
    report = await sweep(rig).run("d")
    assert report is not None
    assert (report.unclaimed, report.taken_out) == (0, 0)
    used = (await connection.call("INFO", "commandstats")).decode()
    assert "cmdstat_keys" not in used
    assert "cmdstat_lindex" not in used, "a list that is in the index is not read"
