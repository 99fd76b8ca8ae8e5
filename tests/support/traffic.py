"""What the end-to-end test and its measurement are made of: people who write, Meta that brings it, the daemon's process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from rfctl.sources.whatsapp_cloud.source import sign
from rfctl.store.connection import Connection
from rfctl.store.daemons import Daemons
from rfctl.store.keys import ShardKeys
from tests.support.keys import SHARD
from tests.support.parents import tie_to_parent
from tests.support.processes import RFCTL, environment
from tests.support.servers import pick_port
from tests.support.waiting import PATIENCE_S, until

APP_SECRET = "meta-app-secret"
COMPANY = "962302"
QUIET_MS = 250
LANES = 4


@dataclass(frozen=True, slots=True)
class SentMessage:
    """One message as the provider has it."""

    phone: str
    id: str
    text: str


People = Sequence[Sequence[Sequence[SentMessage]]]
"""Of each person the thoughts, and of each thought the messages."""


class Count:
    """A number that can be waited for."""

    def __init__(self) -> None:
        self.value = 0
        self._grown = asyncio.Event()

    def add(self, count: int) -> None:
        self.value += count
        self._grown.set()

    async def reach(self, value: int) -> None:
        while self.value < value:
            self._grown.clear()
            await self._grown.wait()


class Serve:
    """The installed `rfctl serve`, on one port for all its lives."""

    def __init__(self, tmp_path: Path, name: str, redis_url: str, sinks: str) -> None:
        self.tmp_path, self.file, self.port = tmp_path, tmp_path / f"{name}.toml", pick_port()
        self.file.write_text(
            f'redis.url = "{redis_url}"\nhttp.port = {self.port}\nbatching.quiet_ms = {QUIET_MS}\n'
            f'[sources.salon]\ntype = "whatsapp-cloud"\nsecrets = ["{APP_SECRET}"]\ncompany = "{COMPANY}"\n{sinks}'
        )
        self.ready = asyncio.Event()
        self.lines: list[bytes] = []

    async def start(self) -> None:
        """Start it, and wait until it is ready. Raises AssertionError when it does not get ready."""
        self.process = await asyncio.create_subprocess_exec(
            *tie_to_parent([RFCTL, "serve", "--config", str(self.file)]),
            env=self._environment(), stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self._reading = asyncio.create_task(self._read())
        await until(lambda: self.ready.is_set() or self._reading.done())
        assert self.ready.is_set(), self.lines[-5:]

    def _environment(self) -> dict[str, str]:
        # A killed process leaves no record of its coverage, and keeping one makes it half as fast.
        variables = environment(self.tmp_path)
        return {name: value for name, value in variables.items() if not name.startswith("COVERAGE_")}

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.lines.append(line)
            if b'"daemon_started"' in line:
                self.ready.set()

    async def kill(self) -> None:
        """End it as a crash does. Raises AssertionError when it has ended already."""
        self.ready.clear()
        self.process.kill()
        assert await self._wait() == -9, self.lines[-5:]

    async def end(self) -> None:
        """End it as systemd does: with SIGKILL when it does not obey."""
        if not hasattr(self, "process"):
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        try:
            await self._wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()

    async def _wait(self) -> int:
        async with asyncio.timeout(PATIENCE_S):
            await self._reading
            return await self.process.wait()


class Provider:
    """Meta: signs each request, sends again what was not answered 200, and at times what was."""

    def __init__(self, daemons: Sequence[Serve], http: aiohttp.ClientSession) -> None:
        self.daemons = daemons
        self._http, self._dice = http, random.Random(3)
        self.sent: list[SentMessage] = []
        self.answered, self.refused = Count(), Count()

    async def bring(self, people: People) -> None:
        """Send these people's thoughts in a few lanes; within one, request after request, so each person's in order."""
        async with asyncio.TaskGroup() as lanes:
            for lane in range(LANES):
                lanes.create_task(self._lane(people[lane::LANES]))

    async def _lane(self, people: People) -> None:
        for thoughts in zip(*people, strict=True):
            messages = interleaved(self._dice, thoughts)
            while messages:
                most = self._dice.choice((1, 1, 2, 3, 5))
                await self._send(messages[:most])
                del messages[:most]
            await asyncio.sleep(QUIET_MS * 1.3 / 1000)

    async def _send(self, messages: list[SentMessage]) -> None:
        raw = request(messages)
        while not await self._post(raw):
            self.refused.add(1)
        self.sent += messages
        self.answered.add(len(messages))
        if self._dice.random() < 0.03:
            await self._post(raw)

    async def _post(self, raw: bytes) -> bool:
        daemon = self._dice.choice(self.daemons)
        await daemon.ready.wait()
        url = f"http://127.0.0.1:{daemon.port}/webhook/salon"
        try:
            async with self._http.post(
                url, data=raw, headers={"X-Hub-Signature-256": sign(APP_SECRET, raw)}
            ) as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False


def people(count: int) -> list[list[list[SentMessage]]]:
    """So many people, each with 3 to 5 messages in one or two thoughts; the second may be empty."""
    dice, everybody = random.Random(1), []
    for number in range(count):
        phone = f"7900{number:07d}"
        all_of_it = [
            SentMessage(phone, f"wamid.{phone}.{n}", dice.choice(("Привет,", "запишите", "меня 🙏")))
            for n in range(dice.randint(3, 5))
        ]
        first = dice.choice((2, 2, 5))
        everybody.append([all_of_it[:first], all_of_it[first:]])
    return everybody


def interleaved(dice: random.Random, thoughts: Sequence[Sequence[SentMessage]]) -> list[SentMessage]:
    """Everybody's messages in random order, each one's own in theirs."""
    turns = [number for number, thought in enumerate(thoughts) for _ in thought]
    dice.shuffle(turns)
    nexts = [iter(thought) for thought in thoughts]
    return [next(nexts[number]) for number in turns]


def request(messages: list[SentMessage]) -> bytes:
    """Meta's form: one entry for the first two messages, and one for the rest."""
    parts = [part for part in (messages[:2], messages[2:]) if part]
    entries = [{"id": "1000", "changes": [{"field": "messages", "value": value(part)}]} for part in parts]
    return json.dumps({"object": "whatsapp_business_account", "entry": entries}).encode()


def value(messages: list[SentMessage]) -> dict[str, Any]:
    return {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550001111", "phone_number_id": "2000"},
        "contacts": [{"profile": {"name": "Анна"}, "wa_id": message.phone} for message in messages],
        "messages": [
            {
                "from": message.phone, "id": message.id, "timestamp": "1790416800", "type": "text",
                "text": {"body": message.text},
            }
            for message in messages
        ],
    }  # fmt: skip


@contextlib.asynccontextmanager
async def served(*daemons: Serve) -> AsyncIterator[None]:
    """Run these daemons until the end of the block."""
    try:
        await asyncio.gather(*(daemon.start() for daemon in daemons))
        yield
    finally:
        ends = await asyncio.gather(*(daemon.end() for daemon in daemons), return_exceptions=True)
    assert ends == [None] * len(daemons)


async def delivering(connection: Connection, sink: str, daemons: Sequence[Serve]) -> Serve:
    """The one of these daemons that delivers to the sink now."""
    holder = await connection.call("GET", ShardKeys("", "").sink(sink).lease)
    alive = await Daemons(connection, SHARD).list_alive()
    [pid] = [record.pid for record in alive if record.id == holder.decode().partition(" ")[0]]
    return next(daemon for daemon in daemons if daemon.process.pid == pid)
