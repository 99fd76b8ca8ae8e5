"""A kill storm: three daemons on one Redis, people who write, four sinks, and faults that a seed chooses.

Daemons and Redis are killed, stopped for a while, asked to end, and cut off. Clients send again, with the same ids, until
they get 2xx. In the end nothing is lost and nothing doubled. See bench/storm.py for the command line.
"""

from __future__ import annotations

import asyncio
import contextlib
import platform
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from rfctl import __version__
from rfctl.sources.whatsapp_cloud.source import sign
from rfctl.store.address import RedisAddress
from rfctl.store.connection import Connection
from tests.faults.verdict import Arrivals, Verdict, judge, read_arrivals
from tests.support.receivers import Answer, HttpReceiver, Taken
from tests.support.relays import Relay
from tests.support.servers import RedisServer
from tests.support.traffic import APP_SECRET, SentMessage, Serve, request

DAEMONS, LANES, PEOPLE_OF_A_LANE = ("one", "two", "three"), 10, 6
SETTLING_S = 90.0
RETRIES_MS = (50, 100)
"""With a receiver that fails often: some messages become dead letters, most come through."""
_CLIENT_S = aiohttp.ClientTimeout(total=4)


@dataclass(slots=True)
class Report:
    """What a storm was, and what came of it."""

    seed: int
    seconds: float
    server: str
    figures: dict[str, object] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)


class Crm:
    """The receiver of the http sink: it fails at random, and at times takes a message and breaks the connection."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self.taken: list[tuple[str, Taken]] = []
        self.refused = self.broken = 0

    def answer(self, got: Taken) -> Answer:
        if self._dice.random() < 0.25:
            self.refused += 1
            return Answer(500)
        self.taken.append((got["headers"]["webhook-id"], got["body"]))
        breaks = self._dice.random() < 0.05
        self.broken += breaks
        return Answer(breaks=breaks)


class People:
    """Clients, a few lanes of them. Each person is in one lane, which sends one request after another."""

    def __init__(self, daemons: list[Serve], seed: int) -> None:
        self._daemons, self._seed = daemons, seed
        self.sent: dict[str, list[SentMessage]] = {}
        self.refused = self.repeated = 0

    async def write(self, until: float) -> None:
        """Write until then, by the monotonic clock; what was begun is sent until it is accepted."""
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=_CLIENT_S) as http,
            asyncio.TaskGroup() as lanes,
        ):
            for lane in range(LANES):
                lanes.create_task(self._lane(http, lane, until))

    async def _lane(self, http: aiohttp.ClientSession, lane: int, until: float) -> None:
        dice = random.Random(self._seed * 1000 + lane)
        phones = [f"7{lane:02d}{number:08d}" for number in range(PEOPLE_OF_A_LANE)]
        while time.monotonic() < until:
            phone = dice.choice(phones)
            burst = dice.choice((1, 1, 2, 3, 4))
            before = self.sent.setdefault(phone, [])
            messages = [
                SentMessage(phone, f"wamid.{phone}.{len(before) + place}", f"t{len(before) + place}")
                for place in range(burst)
            ]
            await self._send(http, dice, messages)
            before += messages
            await asyncio.sleep(dice.random() * 0.2)

    async def _send(
        self, http: aiohttp.ClientSession, dice: random.Random, messages: list[SentMessage]
    ) -> None:
        raw = request(messages)
        while not await self._post(http, dice, raw):
            self.refused += 1
            await asyncio.sleep(0.02)
        if dice.random() < 0.03:
            self.repeated += 1
            await self._post(http, dice, raw)

    async def _post(self, http: aiohttp.ClientSession, dice: random.Random, raw: bytes) -> bool:
        url = f"http://127.0.0.1:{dice.choice(self._daemons).port}/webhook/salon"
        headers = {"X-Hub-Signature-256": sign(APP_SECRET, raw)}
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with http.post(url, data=raw, headers=headers) as answer:
                return answer.status == 200
        return False


class Storm:
    """The faults: each takes hold of a daemon or of Redis, and gives it back as it was."""

    def __init__(self, server: RedisServer, relay: Relay, daemons: list[Serve], dice: random.Random) -> None:
        self._server, self._relay, self._daemons, self._dice = server, relay, daemons, dice
        self._locks = {daemon.port: asyncio.Lock() for daemon in daemons} | {0: asyncio.Lock()}
        self._slots = asyncio.Semaphore(2)
        self.counts: Counter[str] = Counter()
        self.own_ends: list[str] = []

    async def rage(self, until: float) -> None:
        """Let fault after fault happen until then, at times two at once; in the end everything runs."""
        faults = [
            *[self._kill_daemon] * 4, *[self._end_daemon] * 2, *[self._stop_daemon] * 2,
            *[self._kill_redis] * 2, self._stop_redis, *[self._cut_connections] * 3,
        ]  # fmt: skip
        async with asyncio.TaskGroup() as raging:
            while time.monotonic() < until:
                await (
                    self._slots.acquire()
                )  # on a slow machine more and more faults would wait for their turn
                raging.create_task(self._count(self._dice.choice(faults)))
                await asyncio.sleep(0.4 + self._dice.random() * 2)
        for daemon in self._daemons:
            await self._start_again(daemon)

    async def _count(self, fault: Callable[[], Awaitable[None]]) -> None:
        try:
            await fault()
        finally:
            self._slots.release()
        self.counts[fault.__name__.strip("_").replace("_", " ")] += 1

    async def _kill_daemon(self) -> None:
        daemon = self._dice.choice(self._daemons)
        async with self._locks[daemon.port]:
            await self._note_own_end(daemon)
            if daemon.process.returncode is None:
                await daemon.kill()
            await asyncio.sleep(self._dice.random())
            await self._start_again(daemon)

    async def _end_daemon(self) -> None:
        daemon = self._dice.choice(self._daemons)
        async with self._locks[daemon.port]:
            await self._note_own_end(daemon)
            await daemon.end()
            await self._start_again(daemon)

    async def _stop_daemon(self) -> None:
        daemon = self._dice.choice(self._daemons)
        async with self._locks[daemon.port]:
            await self._note_own_end(daemon)
            await self._start_again(daemon)
            daemon.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(self._dice.choice((0.3, 1.0, 5.0)))
            daemon.process.send_signal(signal.SIGCONT)

    async def _kill_redis(self) -> None:
        async with self._locks[0]:
            self._server.kill()
            await asyncio.sleep(self._dice.random() * 0.5)
            await asyncio.to_thread(self._server.start)

    async def _stop_redis(self) -> None:
        async with self._locks[0]:
            self._server.send_signal(signal.SIGSTOP)
            await asyncio.sleep(self._dice.choice((0.2, 1.0, 3.5)))
            self._server.send_signal(signal.SIGCONT)

    async def _cut_connections(self) -> None:
        self._relay.cut(self._dice, self._dice.choice((0.3, 1.0)))

    async def _note_own_end(self, daemon: Serve) -> None:
        if daemon.process.returncode is not None:
            lines = b" ".join(daemon.lines[-3:]).decode(errors="replace")
            self.own_ends.append(f"status {daemon.process.returncode}: {lines[-600:]}")

    async def _start_again(self, daemon: Serve) -> None:
        while daemon.process.returncode is not None:
            daemon.ready.clear()
            try:
                await daemon.start()
            except AssertionError as problem:
                self.own_ends.append(f"it did not start: {str(problem)[-600:]}")


def sinks_toml(receiver: HttpReceiver) -> str:
    return (
        "[output]\nretention_entries = 100000000\nretention_s = 864000\n"
        f'[sinks.crm]\ntype = "http"\nurl = "{receiver.url}"\nsecrets = ["whsec_{"c2VjcmV0" * 4}"]\n'
        f"allow_private = true\nretry_delays_ms = {list(RETRIES_MS)}\n"
        '[sinks.a]\ntype = "list"\nkey = "bot:list"\n[sinks.b]\ntype = "stream"\nkey = "bot:stream"\n'
        '[sinks.c]\ntype = "bullmq"\nqueue = "company-{company}-messages"\nretry_delays_ms = '
        f"{[100] * 50 + [1000] * 50}\n"
    )


async def run_storm(*, seconds: float, seed: int, kind: str, evidence: Path) -> Report:
    """Rage for so many seconds, let everything settle, and judge. Logs are written to `evidence` after a violation."""
    report = Report(seed, seconds, kind)
    dice = random.Random(seed)
    crm = Crm(random.Random(seed + 1))
    with tempfile.TemporaryDirectory(prefix="rfctl-storm-") as folder:
        server = RedisServer(kind)
        try:
            server.start()
            async with HttpReceiver(crm.answer) as receiver, Relay(server.port) as relay:
                daemons = [Serve(Path(folder), name, relay.url, sinks_toml(receiver)) for name in DAEMONS]
                people = People(daemons, seed)
                storm = Storm(server, relay, daemons, dice)
                async with serving(daemons), connected(server) as connection:
                    until = time.monotonic() + seconds
                    async with asyncio.TaskGroup() as going:
                        going.create_task(people.write(until))
                        going.create_task(storm.rage(until))
                    arrivals = await settle(connection, people, crm, receiver)
                    report.violations = judge(people.sent, arrivals)
                    report.figures = await measure(connection, people, crm, storm, arrivals)
                    report.violations += [f"a daemon ended by itself: {line}" for line in storm.own_ends]
            if report.violations:
                keep_evidence(evidence, server, daemons, report)
        finally:
            server.stop()
    return report


@contextlib.asynccontextmanager
async def serving(daemons: list[Serve]) -> AsyncIterator[None]:
    """Run these daemons until the end of the block, and end each, also after a failure."""
    try:
        for daemon in daemons:  # one after another: the first of a run compiles all that they import
            await daemon.start()
        yield
    finally:
        for daemon in daemons:
            if hasattr(daemon, "process"):
                with contextlib.suppress(ProcessLookupError):
                    daemon.process.send_signal(signal.SIGCONT)
        await asyncio.gather(*(daemon.end() for daemon in daemons), return_exceptions=True)


@contextlib.asynccontextmanager
async def connected(server: RedisServer) -> AsyncIterator[Connection]:
    # After a long storm there is much to read, from a server that is as busy as the machine.
    connection = Connection.open(RedisAddress(server.url, "the storm", timeout_ms=120_000))
    try:
        yield connection
    finally:
        await connection.close()


async def settle(connection: Connection, people: People, crm: Crm, receiver: HttpReceiver) -> Arrivals:
    """Return what has come once nothing is missing, or when nothing more has come for the time to settle."""
    deadline, count = time.monotonic() + SETTLING_S, 0
    while True:
        receiver.seen.clear()
        receiver.taken.clear()
        began = time.monotonic()
        arrivals = await read_arrivals(connection, crm.taken)
        before, count = count, sum(map(len, arrivals.sinks.values()))
        if count > before:
            deadline = time.monotonic() + SETTLING_S
        if Verdict(people.sent, arrivals).is_complete() or time.monotonic() > deadline:
            return arrivals
        # To look all the time would slow the deliveries down.
        await asyncio.sleep(max(1.0, 2 * (time.monotonic() - began)))


async def measure(
    connection: Connection, people: People, crm: Crm, storm: Storm, arrivals: Arrivals
) -> dict[str, object]:
    info = dict(
        line.split(":", 1)
        for line in (await connection.call("INFO", "server")).decode().split("\r\n")
        if ":" in line
    )
    server = (
        f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {info['redis_version']}"
    )
    return {
        "rfctl": __version__,
        "server": server,
        "python": platform.python_version(),
        "messages accepted": sum(map(len, people.sent.values())),
        "requests not answered 200": people.refused,
        "requests sent twice": people.repeated,
        "merged messages": len(arrivals.sinks["output stream"]),
        **{
            f"deliveries to {name}": len(rows)
            for name, rows in arrivals.sinks.items()
            if name != "output stream"
        },
        "http: came again": len(crm.taken) - len(arrivals.sinks["http"]),
        "http: answered 500": crm.refused,
        "http: connection broken": crm.broken,
        "dead letters": len(arrivals.dead),
        **{f"fault: {name}": count for name, count in sorted(storm.counts.items())},
    }


def keep_evidence(folder: Path, server: RedisServer, daemons: list[Serve], report: Report) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for daemon in daemons:
        (folder / f"{daemon.file.stem}.log").write_bytes(b"".join(daemon.lines))
    (folder / "server.log").write_bytes((server.folder / "log").read_bytes())
    (folder / "violations").write_text("\n".join(report.violations) + "\n")


def print_report(report: Report, write: Callable[[str], object]) -> None:
    """Write the figures as a table, and what was violated."""
    rows = {
        "seed": report.seed,
        "seconds": report.seconds,
        **report.figures,
        "violations": len(report.violations),
    }
    for name, value in rows.items():
        write(f"{name:<28} {value}")
    for violation in report.violations[:50]:
        write(f"VIOLATION: {violation}")
