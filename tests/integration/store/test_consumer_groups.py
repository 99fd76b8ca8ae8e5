"""What is read of the consumer groups of the output stream, with all that workers of the library keep beside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from rfctl.store.connection import Connection
from rfctl.store.consumer_groups import ConsumerGroup, read_consumer_groups
from rfctl.store.dead_letters import DeadLetters
from rfctl.store.keys import Keyspace, ShardKeys
from rfctl.worker import GiveUpError, MergedMessage
from tests.support.servers import RedisServer
from tests.support.waiting import until
from tests.support.worker_groups import Handler, OutputStream, working


class Groups:
    """The groups of each shard of an output stream, and the dead letters beside it."""

    def __init__(self, server: RedisServer, connection: Connection, shards: int) -> None:
        self.out = OutputStream(server, shards)
        self.url = server.url
        self.shards: list[ShardKeys] = Keyspace(shards).all()
        self.connection = connection

    async def read(self, name: str = "bot", shard: int = 0) -> ConsumerGroup:
        """Return one group of a shard."""
        groups = await read_consumer_groups(self.connection, self.shards[shard])
        return next(group for group in groups if group.name == name)

    async def send_again(self) -> None:
        """Send all dead letters again."""
        letters = DeadLetters(self.connection, self.shards)
        for letter in await letters.list_newest():
            assert await letters.retry(letter)


@pytest.fixture(params=[0, 3])
async def groups(request: pytest.FixtureRequest, server: RedisServer, connection: Connection) -> Groups:
    return Groups(server, connection, request.param)


def give_up(message: MergedMessage) -> None:
    raise GiveUpError("no such person")


async def test_group_of_another_program_and_that_of_a_sink_have_no_more_than_redis_says(
    groups: Groups,
) -> None:
    groups.out.add("7900", "a")
    shard = groups.shards[0]
    for name in ("other", "rfctl:crm"):
        await groups.connection.call("XGROUP", "CREATE", shard.out, name, "0")
        await groups.connection.call("XREADGROUP", "GROUP", name, "c", "STREAMS", shard.out, ">")
        await groups.connection.call("XADD", shard.worker("rfctl:crm").again, "*", "a", "b")
        seen = await groups.read(name)
        assert (seen.pending, seen.again, seen.again_pending, seen.failed) == (1, 0, 0, 0)
        assert seen.worker_keys == ()
        assert seen.idle_ms is not None


async def test_letter_that_was_sent_again_waits_until_a_worker_takes_it(groups: Groups) -> None:
    groups.out.add("7900", "a", shard=-1)
    async with working(groups.url, Handler(give_up)):
        await until(lambda: groups.connection.call("XLEN", groups.shards[-1].dead))
        assert (await groups.read(shard=-1)).worker_keys == tuple(groups.shards[-1].worker("bot").all)
    await groups.send_again()
    waiting = await groups.read(shard=-1)
    assert (waiting.again, waiting.again_pending, waiting.pending, waiting.idle_ms) == (1, 0, 0, None)
    may_end = asyncio.Event()
    handler = Handler(lambda _: may_end.wait())
    async with working(groups.url, handler):
        await handler.wait_for(1)
        taken = await groups.read(shard=-1)
        may_end.set()
        assert (taken.again, taken.again_pending, taken.pending) == (0, 1, 0)
        assert taken.idle_ms is not None
        await until(lambda: _is_done(groups))
    assert (await groups.read()).again == 0


async def _is_done(groups: Groups) -> bool:
    return (await groups.read(shard=-1)).again_pending == 0


async def test_letter_that_comes_again_counts_before_the_group_of_its_stream_is_made(groups: Groups) -> None:
    shard = groups.shards[0]
    await groups.connection.call("XGROUP", "CREATE", shard.out, "bot", "0", "MKSTREAM")
    await groups.connection.call("XADD", shard.worker("bot").again, "*", "phone", "7900")
    assert (await groups.read()).again == 1


async def test_message_that_has_failed_is_counted_until_it_is_handled(groups: Groups) -> None:
    is_well = False

    def fail(message: MergedMessage) -> None:
        if not is_well:
            raise ValueError("not now")

    groups.out.add("7900", "a")
    groups.out.add("7900", "b")
    handler = Handler(fail)
    async with working(groups.url, handler, retry_after_s=0.5):
        await handler.wait_for(1)
        await until(lambda: _has_failed(groups, 1))
        is_well = True
        await until(lambda: _has_failed(groups, 0))
    seen = await groups.read()
    assert (seen.pending, seen.failed) == (0, 0)


async def _has_failed(groups: Groups, count: int) -> bool:
    return (await groups.read()).failed == count


@pytest.fixture
async def busy(groups: Groups) -> AsyncIterator[Groups]:
    shard = groups.shards[0]
    await groups.connection.call("XGROUP", "CREATE", shard.out, "bot", "0", "MKSTREAM")
    again = shard.worker("bot").again
    await groups.connection.call("XGROUP", "CREATE", again, "bot", "0", "MKSTREAM")
    for _ in range(3):
        await groups.connection.call("XADD", again, "*", "phone", "7900")
    await groups.connection.call("XREADGROUP", "GROUP", "bot", "c", "COUNT", 1, "STREAMS", again, ">")
    yield groups


async def test_nothing_is_read_but_counts(busy: Groups) -> None:
    await busy.connection.call("CONFIG", "RESETSTAT")
    seen = await busy.read()
    assert (seen.again, seen.again_pending) == (2, 1)
    stats = (await busy.connection.call("INFO", "commandstats")).decode()
    commands = {
        line.partition(":")[0].removeprefix("cmdstat_") for line in stats.splitlines() if ":" in line
    } - {"config|resetstat", "config", "info", "client|setinfo", "client", "hello", "select", "auth"}
    assert {command.partition("|")[0] for command in commands} == {"exists", "xinfo", "xlen", "hlen"}
