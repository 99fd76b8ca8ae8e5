"""A list that nobody hands over is taken in on a real server: whole, due now, and once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rfctl.errors import RfctlError
from rfctl.model.message import Message
from rfctl.store import Adoption, StrayList
from rfctl.store.connection import Connection
from rfctl.store.rights import build_rights, grant_command
from tests.support.batching import Rig, make_rig
from tests.support.clock import VirtualClock
from tests.support.keys import COMMON
from tests.support.servers import RedisServer
from tests.support.users import make_user

PHONE = "79001234567"
TAKEN_IN = Adoption("adopted", 2, 0)


def old(text: str, company: int = 962302) -> str:
    return json.dumps({"message": text, "companyId": company, "metadata": {}, "timestamp": 1_700_000_000_000})


@pytest.fixture(params=[0, 4])
def rig(request: Any, timed: Connection) -> Rig:
    return make_rig(timed, request.param)


async def strays(rig: Rig) -> list[StrayList]:
    return [stray async for stray in rig.store.strays.lists().iterate()]


async def leave(
    rig: Rig, *items: str, key: str = f"rapid-fire:{PHONE}", expires_ms: int = 10_000
) -> StrayList:
    await rig.connection.call("RPUSH", key, *items)
    if expires_ms:
        await rig.connection.call("PEXPIRE", key, expires_ms)
    [stray] = await strays(rig)
    return stray


async def texts(rig: Rig) -> list[str]:
    return [merged.text for merged in await rig.collect()]


async def test_list_of_another_writer_is_due_now_and_expires_no_more(rig: Rig) -> None:
    stray = await leave(rig, old("Привет,"), old("запишите меня"))
    assert await rig.store.strays.adopt(stray) == TAKEN_IN
    [key] = await rig.connection.call("KEYS", "rapid-fire:*")
    assert await rig.connection.call("PTTL", key) == -1
    assert await strays(rig) == []
    assert (await rig.store.pending()).messages == 2
    again = await rig.store.strays.adopt(stray)
    assert again.outcome == ("claimed" if len(rig.shards) == 1 else "gone")
    assert (await rig.hand_over()).batches == 1
    assert await texts(rig) == ["Привет, запишите меня"]
    assert await rig.connection.call("KEYS", "rapid-fire:*") == []
    assert await rig.store.strays.adopt(stray) == Adoption("gone", 0, 0)


async def test_renamed_batch_of_rfctl_comes_back_under_its_own_name(rig: Rig, clock: VirtualClock) -> None:
    for chat in ("", "family"):
        await rig.add([Message(phone=PHONE, text=f"x{chat}", id=chat, channel="generic", chat=chat)])
    for key in await rig.connection.call("KEYS", "rapid-fire:*"):
        await rig.connection.call("RENAME", key, b"backup:" + key)
    for shard in rig.shards:
        await rig.connection.call("DEL", shard.due, shard.phones)
    for stray in await strays(rig):
        assert (await rig.store.strays.adopt(stray)).outcome == "adopted"
    assert len(await rig.batches.find_batches(PHONE)) == 2
    await clock.advance(1)
    assert (await rig.hand_over()).batches == 2
    assert sorted(await texts(rig)) == ["x", "xfamily"]
    assert {merged.phone for merged in await rig.collect()} == {PHONE}
    assert (await rig.store.pending()).totals["messages_in"] == 2


async def test_list_without_a_name_becomes_the_batch_of_the_person_that_is_named(rig: Rig) -> None:
    stray = await leave(rig, old("a"), old("b"), key="somewhere")
    with pytest.raises(ValueError, match="somewhere"):
        await rig.store.strays.adopt(stray)
    assert await rig.store.strays.adopt(stray, PHONE) == TAKEN_IN
    await rig.hand_over()
    assert [(merged.phone, merged.text) for merged in await rig.collect()] == [(PHONE, "a b")]


async def test_pending_batch_of_the_same_person_leaves_first(rig: Rig, clock: VirtualClock) -> None:
    stray = await leave(rig, old("a"), old("b"), key=f"backup:rapid-fire:{PHONE}")
    await rig.add([Message(phone=PHONE, text="new", id="1", channel="generic")])
    assert await rig.store.strays.adopt(stray) == Adoption("occupied", 0, 0)
    assert await rig.connection.call("LLEN", stray.key) == 2
    await rig.drain()
    assert await rig.store.strays.adopt(stray) == TAKEN_IN
    await clock.advance(1)
    await rig.hand_over()
    assert await texts(rig) == ["new", "a b"]


async def test_what_has_no_text_goes_to_quarantine_and_the_rest_is_sent(rig: Rig) -> None:
    odd = ['{"text":"x"}', "[1,2]", '{"message":7}', '{"message":"cut o', '{"text":"x"}']
    stray = await leave(rig, odd[0], old("a"), odd[1], "plain text", *odd[2:])
    assert await rig.store.strays.adopt(stray) == Adoption("adopted", 2, 5)
    await rig.hand_over()
    assert await texts(rig) == ["a plain text"]
    requests = await rig.store.quarantine.list_newest()
    assert [request.body.decode() for request in requests] == odd
    assert f"the list {stray.key}" in requests[0].why


async def test_list_without_any_text_ends_in_quarantine(rig: Rig) -> None:
    stray = await leave(rig, '{"a":1}', '{"a":1}')
    assert await rig.store.strays.adopt(stray) == Adoption("adopted", 0, 2)
    assert await rig.store.quarantine.count() == 2
    assert await strays(rig) == []
    assert await rig.store.pending_keys.count() == 0


async def test_batch_in_the_index_that_another_program_lets_expire_is_kept(timed: Connection) -> None:
    rig = make_rig(timed)
    stray = await leave(rig, old("a"), old("b"))
    await timed.call("ZADD", rig.shards[0].due, "1", PHONE)
    assert await rig.store.strays.adopt(stray) == TAKEN_IN
    assert await timed.call("PTTL", stray.key) == -1
    assert await timed.call("ZSCORE", rig.shards[0].due, PHONE) == b"1"


@pytest.mark.parametrize("command", ["PERSIST", "LREM", "XADD", "RENAMENX", "ZADD", "LRANGE"])
async def test_missing_right_loses_nothing(server: RedisServer, timed: Connection, command: str) -> None:
    from tests.integration.store.test_rights import RIGHTS, connecting

    rig = make_rig(timed)
    stray = await leave(rig, old("a"), '{"odd":1}', key=f"x:rapid-fire:{PHONE}")
    url = make_user(server, RIGHTS, "~x:*", "-" + grant_command(command)[1:])
    async with connecting(url) as limited:
        with pytest.raises(RfctlError, match="NOPERM"):
            await make_rig(limited).store.strays.adopt(stray)
    assert await timed.call("LLEN", stray.key) == 2
    assert await timed.call("PTTL", stray.key) > 0
    assert await rig.store.quarantine.count() == 0
    assert await timed.call("EXISTS", COMMON.quarantine, rig.shards[0].due) == 0


def test_rights_of_an_adoption_are_in_the_printed_line() -> None:
    from rfctl.store import Keyspace

    assert {"LREM", "PERSIST", "RENAMENX"} <= set(build_rights(Keyspace(), 0).commands)


async def test_list_beside_a_list_in_no_index_is_left(timed: Connection) -> None:
    rig = make_rig(timed)
    await timed.call("RPUSH", f"rapid-fire:{PHONE}", old("newer"))
    await timed.call("RPUSH", f"x:rapid-fire:{PHONE}", old("older"))
    renamed, there = sorted(await strays(rig), key=lambda stray: stray.key, reverse=True)
    assert (await rig.store.strays.adopt(renamed)).outcome == "occupied"
    assert (await rig.store.strays.adopt(there)).outcome == "adopted"
    await rig.hand_over()
    assert (await rig.store.strays.adopt(renamed)).outcome == "adopted"
    await rig.hand_over()
    assert await texts(rig) == ["newer", "older"]
