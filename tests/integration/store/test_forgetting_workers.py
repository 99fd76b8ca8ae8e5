"""A person who is forgotten is nowhere in what groups of workers keep: their order, failures and second chances."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rfctl.model.message import Message
from rfctl.store import Forgotten
from rfctl.store.connection import Connection
from rfctl.worker import GiveUpError, MergedMessage
from tests.support.batching import Rig, make_rig
from tests.support.contents import find_traces, read_everything
from tests.support.servers import RedisServer
from tests.support.waiting import until
from tests.support.worker_groups import Handler, working

ANNA, BORIS = "79000000001", "79000000002"
SECRET = "fountain"
PATIENT: dict[str, Any] = {"retry_after_s": 600, "max_attempts": 3}


@pytest.fixture(params=[0, 4])
async def rig(request: Any, timed: Connection) -> Rig:
    await timed.call("SET", "rfctl:shards", f"{request.param}/2")
    return make_rig(timed, request.param)


async def hand_over(rig: Rig, phone: str, text: str, **more: Any) -> None:
    await rig.add([Message(phone=phone, text=f"{SECRET} {text}", id=f"{phone} {text}", channel="tg", **more)])
    await rig.drain()


async def forget(rig: Rig, *, with_stream: bool = True) -> Forgotten:
    return await rig.store.people.forgetting(ANNA, [], ["tg"]).forget(with_stream=with_stream)


def fail(message: MergedMessage) -> None:
    if "dies" in message.text:
        raise GiveUpError(f"no {message.phone}")
    raise ValueError(f"no answer to {message.phone}")


async def spread(rig: Rig, url: str, phone: str) -> None:
    """Let a group give a message up and get it again, fail at another, and leave a third behind it; twice, in two chats."""
    for more in ({}, {"chat": "family"}):
        await hand_over(rig, phone, f"{more} dies", **more)
        await hand_over(rig, phone, f"{more} fails", **more)
        await hand_over(rig, phone, f"{more} waits", **more)
    handler = Handler(fail)
    async with working(url, handler, **PATIENT):
        await handler.wait_for(4)
        await until(lambda: _count_failures(rig, 2))
    letters = await rig.store.dead_letters.list_newest()
    assert [await rig.store.dead_letters.retry(letter) for letter in letters] == [True, True]


async def _count_failures(rig: Rig, count: int) -> bool:
    keys = [shard.worker("bot").failures for shard in rig.shards]
    return sum([int(await rig.connection.call("HLEN", key)) for key in keys]) == count


async def test_forgotten_person_is_in_no_key_of_workers(rig: Rig, server: RedisServer) -> None:
    await spread(rig, server.url, ANNA)
    traces = await find_traces(rig.connection, ANNA, SECRET)
    assert {key.rpartition(":")[2] for key in traces if "worker" in key} == {"again", "order", "failures"}
    done = await forget(rig)
    assert await find_traces(rig.connection, ANNA, SECRET) == set()
    assert (done.counts["undelivered message"], done.on_its_way, done.in_stream) == (2, [], [])
    assert (await forget(rig)).counts.total() == 0


async def test_entries_that_stay_keep_their_place_in_the_group(rig: Rig, server: RedisServer) -> None:
    await spread(rig, server.url, ANNA)
    done = await forget(rig, with_stream=False)
    traces = {key.rpartition(":")[2] for key in await find_traces(rig.connection, ANNA, SECRET)}
    assert traces == {"out", "order", "failures"}
    assert (done.counts["undelivered message"], len(done.in_stream)) == (2, 6)


async def test_nobody_else_loses_a_place(rig: Rig, server: RedisServer) -> None:
    await spread(rig, server.url, BORIS)
    before = await read_everything(rig.connection)
    await hand_over(rig, ANNA, "one")
    await forget(rig)
    after = await read_everything(rig.connection)
    assert {key: value for key, value in before.items() if "worker" in key} == {
        key: value for key, value in after.items() if "worker" in key
    }


async def test_what_a_worker_has_in_hand_is_left_and_named(rig: Rig, server: RedisServer) -> None:
    may_end = asyncio.Event()
    handler = Handler(lambda _: may_end.wait())
    await hand_over(rig, ANNA, "in hand")
    await hand_over(rig, ANNA, "behind")
    async with working(server.url, handler, **PATIENT):
        await handler.wait_for(1)
        done = await forget(rig)
        assert [message.sink for message in done.on_its_way] == ["group:bot"]
        assert done.in_stream == [message.id for message in done.on_its_way]
        may_end.set()
        await until(lambda: _is_forgotten(rig))
    assert [message.text for message in handler.messages] == [f"{SECRET} in hand"]
    assert await find_traces(rig.connection, ANNA, SECRET) == set()


async def _is_forgotten(rig: Rig) -> bool:
    return not (await forget(rig)).on_its_way


async def test_what_a_dead_worker_had_is_not_left(rig: Rig, server: RedisServer) -> None:
    handler = Handler(fail)
    await hand_over(rig, ANNA, "dies")
    [stream] = [shard.out for shard in rig.shards if await rig.connection.call("XLEN", shard.out)]
    await rig.connection.call("XGROUP", "CREATE", stream, "bot", "0")
    entries: Any = await rig.connection.call("XREADGROUP", "GROUP", "bot", "dead", "STREAMS", stream, ">")
    await rig.connection.call(
        "XCLAIM", stream, "bot", "dead", "0", entries[0][1][0][0], "IDLE", "90000", "JUSTID"
    )
    async with working(server.url, handler, **PATIENT):
        await until(lambda: _has_order(rig))
    done = await forget(rig)
    assert (done.on_its_way, handler.lines) == ([], [])
    assert await find_traces(rig.connection, ANNA, SECRET) == set()


async def _has_order(rig: Rig) -> bool:
    keys = [shard.worker("bot").order for shard in rig.shards]
    return any([await rig.connection.call("ZCARD", key) for key in keys])


async def test_what_failed_after_a_worker_had_died_with_it_is_in_no_hand(
    rig: Rig, server: RedisServer
) -> None:
    """Two attempts, and one failure: the first worker had no time to note its own."""
    handler = Handler(fail)
    await hand_over(rig, ANNA, "fails")
    [stream] = [shard.out for shard in rig.shards if await rig.connection.call("XLEN", shard.out)]
    await rig.connection.call("XGROUP", "CREATE", stream, "bot", "0")
    entries: Any = await rig.connection.call("XREADGROUP", "GROUP", "bot", "dead", "STREAMS", stream, ">")
    await rig.connection.call(
        "XCLAIM", stream, "bot", "dead", "0", entries[0][1][0][0], "IDLE", "900000", "JUSTID"
    )
    async with working(server.url, handler, **PATIENT):
        await until(lambda: _count_failures(rig, 1))
    assert [message.attempt for message in handler.messages] == [2]
    assert (await forget(rig)).on_its_way == []
    assert await find_traces(rig.connection, ANNA, SECRET) == set()


async def test_keys_of_a_group_that_is_gone_are_emptied_too(rig: Rig, server: RedisServer) -> None:
    await spread(rig, server.url, ANNA)
    for shard in rig.shards:
        await rig.connection.call("XGROUP", "DESTROY", shard.out, "bot")
        await rig.connection.call("XGROUP", "DESTROY", shard.worker("bot").again, "bot")
    await forget(rig)
    assert await find_traces(rig.connection, ANNA, SECRET) == set()


async def test_message_that_workers_get_again_is_seen(rig: Rig, server: RedisServer) -> None:
    await spread(rig, server.url, ANNA)
    person = await rig.store.people.find_person([], ANNA, [])
    assert [message.state for message in person.unread if message.is_again] == ["unread", "unread"]
    assert {message.group for message in person.unread} == {"bot"}
