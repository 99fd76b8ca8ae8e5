"""What nobody hands over or uses is found on a real server, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from rfctl.model.message import Message
from rfctl.store import Keyspace, StrayGroup, StrayKeys, StraySink
from rfctl.store.connection import Connection
from rfctl.store.rights import build_rights
from rfctl.store.stray_keys import find_stray_keys
from tests.support.batching import Rig, make_rig
from tests.support.servers import RedisServer, patient_address
from tests.support.users import make_user

PHONES = [f"7900{number:07d}" for number in range(6)]
OLD = json.dumps({"message": "old", "companyId": 962302, "metadata": {}, "timestamp": 1_700_000_000_000})


@pytest.fixture(params=[0, 4])
def rig(request: Any, timed: Connection) -> Rig:
    return make_rig(timed, request.param)


async def find(rig: Rig, *sinks: str, **more: Any) -> StrayKeys:
    keyspace = Keyspace(len(rig.shards) if len(rig.shards) > 1 else 0)
    return await find_stray_keys(rig.connection, keyspace, sinks, **more)


async def say(rig: Rig, phone: str, **more: Any) -> None:
    await rig.add([Message(phone=phone, text="x", id="1", channel="generic", **more)])


async def test_nothing_is_stray_in_a_healthy_redis(rig: Rig) -> None:
    for place, phone in enumerate(PHONES):
        await say(rig, phone, chat="family" if place % 2 else "")
    await rig.drain()
    for phone in PHONES:
        await say(rig, phone)
    await rig.store.deliveries("crm").open()
    for other_list in ("bull:bot:wait", "celery", "bot:79001234567"):
        await rig.connection.call(
            "RPUSH", other_list, '{"from":"7","message":"x","companyId":1,"metadata":{}}'
        )
    await rig.connection.call("RPUSH", "a:rapid-fire:7900", OLD)
    await rig.connection.call("ZADD", "a:rfctl:due", "1", "7900")  # another rfctl has it
    assert replace(await find(rig, "crm"), unreadable=0) == StrayKeys()


async def test_list_of_another_writer_is_described(rig: Rig) -> None:
    await rig.connection.call("RPUSH", f"rapid-fire:{PHONES[0]}", OLD, OLD)
    await rig.connection.call("PEXPIRE", f"rapid-fire:{PHONES[0]}", 500_000)
    [stray] = (await find(rig)).lists
    assert (stray.key, stray.batch_key, stray.messages) == (f"rapid-fire:{PHONES[0]}", PHONES[0], 2)
    assert (stray.writer, stray.oldest_ms, stray.phone) == ("other", 1_700_000_000_000, PHONES[0])
    assert stray.lives_ms is not None
    assert 0 < stray.lives_ms <= 500_000
    assert (stray.home == stray.key) == (len(rig.shards) == 1)


async def test_lists_that_were_renamed_or_lost_their_index_are_found(rig: Rig) -> None:
    for place, phone in enumerate(PHONES[:3]):
        await say(rig, phone, chat="family" if place == 2 else "")
    keys = sorted(key.decode() for key in await rig.connection.call("KEYS", "*rapid-fire:*"))
    await rig.connection.call("RENAME", keys[0], f"backup:{keys[0]}")
    await rig.connection.call("RENAME", keys[1], "somewhere")
    for shard in rig.shards:
        await rig.connection.call("DEL", shard.due)
    strays = {stray.key: stray for stray in (await find(rig)).lists}
    assert set(strays) == {f"backup:{keys[0]}", "somewhere", keys[2]}
    assert {stray.writer for stray in strays.values()} == {"rfctl"}
    assert all(stray.lives_ms is None and stray.oldest_ms > 0 for stray in strays.values())
    assert strays["somewhere"].home == ""
    assert strays[f"backup:{keys[0]}"].home == keys[0]


async def test_list_that_may_not_be_read_hides_no_other(server: RedisServer, rig: Rig) -> None:
    """Its owner shares this Redis, and rfctl's user has no right to it."""
    for phone in PHONES[:5]:
        await rig.connection.call("RPUSH", f"rapid-fire:{phone}", OLD)
    for name in ("celery", "bull:bot:wait", "zz"):
        await rig.connection.call("RPUSH", name, "x")
    limited = Connection.open(patient_address(make_user(server, build_rights(Keyspace(), 0))))
    try:
        seen = await find_stray_keys(limited, Keyspace(), ())
    finally:
        await limited.close()
    assert {stray.batch_key for stray in seen.lists} == set(PHONES[:5])
    assert seen.unreadable == 3


async def test_entries_without_a_list_are_found(rig: Rig) -> None:
    for phone in PHONES:
        await say(rig, phone)
    gone = [key.decode() for key in await rig.connection.call("KEYS", "*rapid-fire:*")][:2]
    await rig.connection.call("DEL", *gone)
    strays = await find(rig)
    assert {key.rpartition(":")[2] for key in gone} == set(strays.entries)
    assert strays.lists == ()


async def test_keys_and_groups_of_a_sink_that_nobody_has_are_found(rig: Rig) -> None:
    await say(rig, PHONES[0])
    await rig.drain()
    [shard] = [shard for shard in rig.shards if await rig.connection.call("EXISTS", shard.out)]
    for sink in ("crm", "old"):
        queue = rig.store.deliveries(sink, shard)
        await queue.open()
        assert await queue.lease("d", 3000)
        entries = await queue.read_new(10, 1, "d")
        assert entries
        await queue.schedule_retry(PHONES[0], [entries[0].id], wait_ms=1000, error="no")
    await rig.connection.call("DEL", shard.sink("crm").waiting)
    [stray] = (await find(rig, "crm")).sinks
    keys = shard.sink("old")
    expected = sorted([keys.waiting, keys.retry, keys.attempts, keys.lease, keys.progress])
    assert stray == StraySink("old", tuple(expected), has_group=True)
    await rig.connection.call("XGROUP", "DESTROY", shard.out, "rfctl:old")
    assert (await find(rig, "crm")).sinks == (StraySink("old", tuple(expected)),)


async def test_keys_of_workers_are_stray_when_their_group_is_gone_from_the_stream_and_the_settings(
    rig: Rig,
) -> None:
    shard = rig.shards[-1]
    keys = shard.worker("bot")
    await rig.connection.call("XGROUP", "CREATE", shard.out, "bot", "0", "MKSTREAM")
    await rig.connection.call("XADD", keys.again, "*", "phone", PHONES[0])
    await rig.connection.call("ZADD", keys.done, "1", "a", "2", "b")
    await rig.connection.call("ZADD", "a:" + keys.done, "1", "a")  # another rfctl's
    assert (await find(rig)).groups == ()
    await rig.connection.call("XGROUP", "DESTROY", shard.out, "bot")
    assert (await find(rig, groups=["bot"])).groups == ()
    assert (await find(rig, groups=["other"])).groups == (
        StrayGroup("bot", tuple(sorted([keys.again, keys.done])), again=1, remembered=2),
    )


async def test_scan_that_is_broken_off_says_so(rig: Rig) -> None:
    await rig.connection.calls([("SET", f"other:{number}", "x") for number in range(3000)])
    assert (await find(rig)).complete
    assert not (await find(rig, limit=1000)).complete


async def test_value_that_may_not_be_a_list_is_passed_over(rig: Rig) -> None:
    await rig.connection.call("SET", f"rapid-fire:{PHONES[0]}", "text")
    await rig.connection.call("RPUSH", "rapid-fire:no batch key", "x")
    await rig.connection.call("RPUSH", f"rapid-fire:{PHONES[1]}", "not JSON")
    [stray] = (await find(rig)).lists
    assert (stray.batch_key, stray.writer) == (PHONES[1], "unknown")
