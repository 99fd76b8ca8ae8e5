"""A provider, the installed daemon and the bots behind it, all at once, while the daemon is killed again and again.

Every process is a real one. Who writes what and when a kill falls is seeded; a kill waits for a number of answers
or of deliveries, so that something is on its way, however fast the machine is.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from standardwebhooks import Webhook

from rfctl.store.connection import Connection
from rfctl.store.keys import ShardKeys
from tests.support import workers
from tests.support.receivers import Answer, HttpReceiver, Taken
from tests.support.servers import RedisServer, ServerMaker, patient_address
from tests.support.traffic import (
    COMPANY,
    Count,
    People,
    Provider,
    SentMessage,
    Serve,
    delivering,
    people,
    served,
)

SIGNING_SECRET = "whsec_" + "c2VjcmV0" * 4
OUT = ShardKeys("", "rfctl:out")
BOUND_S = 300
pytestmark = pytest.mark.timeout(BOUND_S + 120)  # each test bounds itself, and ends its daemons after that


@dataclass(frozen=True, slots=True)
class BotMessage:
    """One delivery as a bot got it: the merged message's id, and all that must be the same when it comes again."""

    id: str
    phone: str
    company: str
    text: str
    ids: tuple[str, ...]
    content: str


class Bot:
    """The deliveries of one sink, in their order."""

    def __init__(self) -> None:
        self.came: list[BotMessage] = []
        self.deliveries, self.messages = Count(), Count()
        self._seen_ids: set[str] = set()

    def take(self, item: BotMessage) -> None:
        self.came.append(item)
        self.messages.add(len(set(item.ids) - self._seen_ids))
        self._seen_ids |= set(item.ids)
        self.deliveries.add(1)

    def merged(self) -> list[BotMessage]:
        """Each merged message once, where it came first; what came again is the same in everything."""
        first: dict[str, BotMessage] = {}
        for delivery in self.came:
            assert first.setdefault(delivery.id, delivery) == delivery
        return list(first.values())


class Crm(Bot):
    """A receiver that fails at random: 500, or it takes the message and breaks the connection."""

    def __init__(self, failing: float = 0.0) -> None:
        super().__init__()
        self._dice, self._failing = random.Random(5), failing
        self.refused = self.broken = 0

    def answer(self, got: Taken) -> Answer:
        if self._dice.random() < self._failing:
            self.refused += 1
            return Answer(500)
        self.take(read(got["body"], got["headers"]["webhook-id"]))
        breaks = self._dice.random() < self._failing
        self.broken += breaks
        return Answer(breaks=breaks)


def read(body: dict[str, Any], came_as: str = "") -> BotMessage:
    """Read the JSON that every sink gets but a stream, in either shape."""
    metadata = body["metadata"]
    ids = tuple(item["messageId"] for item in metadata.get("originals", metadata["originalMessages"]))
    content = json.dumps(body)
    return BotMessage(
        came_as or body["messageId"], body["from"], str(body["companyId"]), body["message"], ids, content
    )


def read_entry(fields: list[bytes]) -> BotMessage:
    """Read an entry of a stream."""
    names = [name.decode() for name in fields[::2]]
    got = dict(zip(names, [field.decode() for field in fields[1::2]], strict=True))
    ids = tuple(row["messageId"] for row in json.loads(got["messages"]))
    return BotMessage(got["id"], got["phone"], got["company"], got["text"], ids, json.dumps(got))


def check(merged: list[BotMessage], messages: Iterable[SentMessage]) -> None:
    """Everything that was answered 200 is here, each person's in order, and in one merged message each."""
    came: dict[str, list[str]] = defaultdict(list)
    sent: dict[str, list[str]] = defaultdict(list)
    texts = {}
    for message in messages:
        sent[message.phone].append(message.id)
        texts[message.id] = message.text
    for item in merged:
        came[item.phone] += item.ids
    assert came == sent
    assert {batch.company for batch in merged} == {COMPANY}
    for item in merged:
        assert item.text == " ".join(texts[id_] for id_ in item.ids)


def http_sink(receiver: HttpReceiver) -> str:
    return (
        f'[sinks.crm]\ntype = "http"\nurl = "{receiver.url}"\nsecrets = ["{SIGNING_SECRET}"]\n'
        f"allow_private = true\nretry_delays_ms = {[50] * 50}\n"
    )


async def follow_jobs(worker: workers.Worker, bot: Bot) -> None:
    while True:
        job = await worker.job()
        assert re.fullmatch(f"rfctl-bot-[0-9a-f]{{8}}-{job['data']['messageId']}", job["id"])
        bot.take(read(job["data"]))


@contextlib.asynccontextmanager
async def connected(server: RedisServer) -> AsyncIterator[Connection]:
    connection = Connection.open(patient_address(server.url))
    try:
        yield connection
    finally:
        await connection.close()


async def follow_stream(server: RedisServer, key: str, bot: Bot) -> None:
    after = "0-0"
    async with connected(server) as connection:
        while True:
            answer = await connection.call("XREAD", "BLOCK", 500, "STREAMS", key, after)
            for entry_id, fields in answer[0][1] if answer else []:
                after = entry_id.decode()
                bot.take(read_entry(fields))


async def bring_and_kill(provider: Provider, everybody: People, kills: list[Count]) -> None:
    """Bring everybody in turns, one more than there are kills; each kill falls at a random moment of its turn.

    `kills` are what a kill counts: answers, or deliveries. A turn has at least as many of either as people.
    """
    dice, daemon = random.Random(7), provider.daemons[0]
    turns = [everybody[number :: len(kills) + 1] for number in range(len(kills) + 1)]
    async with asyncio.TaskGroup() as bringing:
        for turn, counted in zip(turns, kills, strict=False):
            bringing.create_task(provider.bring(turn))
            await counted.reach(counted.value + dice.randint(1, len(turn)))
            await daemon.kill()
            await daemon.start()
        bringing.create_task(provider.bring(turns[-1]))


async def settled(server: RedisServer) -> None:
    """Wait until every sink's group has read and acknowledged everything."""
    async with connected(server) as connection, asyncio.timeout(60):
        while await unsettled(connection):
            await asyncio.sleep(0.05)


async def unsettled(connection: Connection) -> bool:
    """Say whether some sink has not read, or not acknowledged, all of the output stream."""
    [[newest, _]] = await connection.call("XREVRANGE", OUT.out, "+", "-", "COUNT", 1)
    raws = await connection.call("XINFO", "GROUPS", OUT.out)
    groups = [dict(zip(map(bytes, raw[::2]), raw[1::2], strict=True)) for raw in raws]
    return any(group[b"pending"] or group[b"last-delivered-id"] != newest for group in groups)


async def test_acknowledged_messages_reach_both_bots_in_order_despite_kills(
    own_server: ServerMaker, tmp_path: Path
) -> None:
    modules = workers.node_modules("TEST_BULLMQ6")
    server, everybody = own_server(), people(1000)
    crm, bot = Crm(failing=0.05), Bot()
    async with (
        asyncio.timeout(BOUND_S),
        HttpReceiver(crm.answer) as receiver,
        workers.bullmq(server, f"company-{COMPANY}-messages", modules) as worker,
        aiohttp.ClientSession() as http,
        asyncio.TaskGroup() as beside,
    ):
        sinks = http_sink(receiver) + '[sinks.bot]\ntype = "bullmq"\nqueue = "company-{company}-messages"\n'
        daemon = Serve(tmp_path, "one", server.url, sinks)
        provider = Provider([daemon], http)
        following = beside.create_task(follow_jobs(worker, bot))
        answers, deliveries = provider.answered, crm.deliveries
        async with served(daemon):
            await bring_and_kill(provider, everybody, [deliveries, *[answers] * 2] * 3 + [answers])
            await crm.messages.reach(len(provider.sent))
            await bot.messages.reach(len(provider.sent))
            await settled(server)
        following.cancel()
    check(crm.merged(), provider.sent)
    check(bot.merged(), provider.sent)
    assert len(bot.came) == len(bot.merged()) < len(provider.sent), (
        "a job was done twice, or nothing was merged"
    )
    assert min(crm.refused, crm.broken, provider.refused.value) > 0, "nothing failed"
    assert len(crm.came) > len(crm.merged()), "nothing came again"
    for got in receiver.seen:
        Webhook(SIGNING_SECRET).verify(got["raw"], got["headers"])


async def test_a_list_and_a_stream_get_each_merged_message_exactly_once_over_ten_kills(
    own_server: ServerMaker, tmp_path: Path
) -> None:
    server, everybody, reader = own_server(), people(200), Bot()
    sinks = '[sinks.a]\ntype = "list"\nkey = "bot:{company}"\n[sinks.b]\ntype = "stream"\nkey = "bot:all"\n'
    daemon = Serve(tmp_path, "one", server.url, sinks)
    async with asyncio.timeout(BOUND_S), aiohttp.ClientSession() as http, asyncio.TaskGroup() as beside:
        provider = Provider([daemon], http)
        following = beside.create_task(follow_stream(server, "bot:all", reader))
        answers = provider.answered
        async with served(daemon):
            await bring_and_kill(provider, everybody, [reader.deliveries, *[answers] * 4] * 2)
            await reader.messages.reach(len(provider.sent))
            await settled(server)
        following.cancel()
    async with connected(server) as connection:
        listed = [read(json.loads(raw)) for raw in await connection.call("LRANGE", f"bot:{COMPANY}", 0, -1)]
    check(reader.came, provider.sent)
    check(listed, provider.sent)
    assert sorted(delivery.id for delivery in listed) == sorted(delivery.id for delivery in reader.came)


async def test_kill_of_the_delivering_daemon_keeps_everybodys_order(
    own_server: ServerMaker, tmp_path: Path
) -> None:
    server, everybody, crm = own_server(), people(300), Crm(failing=0.1)
    one_by_one = '[rules.all]\nsources = ["salon"]\nmax_size = 1\n'
    async with (
        asyncio.timeout(BOUND_S),
        connected(server) as connection,
        HttpReceiver(crm.answer) as receiver,
        aiohttp.ClientSession() as http,
    ):
        pair = [
            Serve(tmp_path, name, server.url, http_sink(receiver) + one_by_one) for name in ("one", "two")
        ]
        provider = Provider(pair, http)
        async with served(*pair), asyncio.TaskGroup() as bringing:
            for turn in (everybody[::3], everybody[1::3]):
                bringing.create_task(provider.bring(turn))
                await crm.deliveries.reach(crm.deliveries.value + len(turn) // 2)
                killed = await delivering(connection, "crm", pair)
                await killed.kill()
                await killed.start()
            await provider.bring(everybody[2::3])
            await crm.messages.reach(sum(len(thought) for item in everybody for thought in item))
            await settled(server)
    check(crm.merged(), provider.sent)
