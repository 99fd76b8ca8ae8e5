"""How fast, how late and after a kill how soon merged messages are delivered: python -m bench end-to-end

One `rfctl serve` on a server of its own (AOF always) and one receiver on loopback, which only answers 200, all on the
same cores: ratios hold, absolutes do not. It ends by itself, after about a minute.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp

from rfctl.model.message import Message
from rfctl.store.address import RedisAddress
from rfctl.store.connection import Connection
from tests.support.batching import make_rig
from tests.support.receivers import Answer, HttpReceiver, Taken
from tests.support.servers import RedisServer
from tests.support.traffic import QUIET_MS, Count, Provider, SentMessage, Serve, delivering, served

PREPARED = 3_000
PEOPLE = 1_000
PARALLEL = (1, 16, 64)
LATENESS_PEOPLE, PAUSE_S = 400, 0.02
KILLS = 4
BOUND_S = 240


class Receiver(HttpReceiver):
    """Notes when each message came, and keeps nothing else."""

    def __init__(self) -> None:
        super().__init__(self.note)
        self.count = Count()
        self.late_ms: list[float] = []

    def note(self, got: Taken) -> Answer:
        due_ms = got["body"]["metadata"]["originalMessages"][-1]["receivedAt"] + QUIET_MS
        self.late_ms.append(time.time_ns() / 1e6 - due_ms)
        self.count.add(1)
        self.seen.clear()
        self.taken.clear()
        return Answer()

    async def next_at(self) -> float:
        """When the next message has come, by the monotonic clock, s."""
        await self.count.reach(self.count.value + 1)
        return time.monotonic()

    def sink(self, concurrency: int = 16) -> str:
        return (
            f'[sinks.crm]\ntype = "http"\nurl = "{self.url}"\nsecret = ["whsec_{"c2VjcmV0" * 4}"]\n'
            f"allow_private = true\nconcurrency = {concurrency}\n"
        )


@contextlib.asynccontextmanager
async def empty_server() -> AsyncIterator[tuple[RedisServer, Connection]]:
    server = RedisServer("embedded").start()
    connection = Connection.open(RedisAddress(server.url, "bench"))
    try:
        yield server, connection
    finally:
        await connection.close()
        server.stop()


async def prepare(connection: Connection) -> None:
    """Put merged messages into the output stream, some of each person."""
    batches = make_rig(connection, max_size=1)
    for start in range(0, PREPARED, 500):
        await batches.add(
            [
                Message(phone=f"7900{number % PEOPLE:07d}", text="hello", id=str(number), channel="generic")
                for number in range(start, start + 500)
            ]
        )


async def throughput(folder: Path, sink: str, wait: Callable[[Connection], Awaitable[None]]) -> float:
    """Messages a second, from the daemon's readiness until the last of those that were prepared has come."""
    async with empty_server() as (server, connection):
        await prepare(connection)
        daemon = Serve(folder, "fast", server.url, sink)
        async with served(daemon):
            began = time.monotonic()
            await wait(connection)
            return PREPARED / (time.monotonic() - began)


async def to_http(folder: Path, concurrency: int) -> float:
    async with Receiver() as receiver:
        return await throughput(folder, receiver.sink(concurrency), lambda _: receiver.count.reach(PREPARED))


async def listed(connection: Connection) -> None:
    while await connection.call("LLEN", "bot") < PREPARED:
        await asyncio.sleep(0.02)


async def lateness(folder: Path) -> list[float]:
    """How late each one-message batch is at the receiver, ms after it was due."""
    async with empty_server() as (server, _), Receiver() as receiver, aiohttp.ClientSession() as http:
        daemon = Serve(folder, "late", server.url, receiver.sink())
        async with served(daemon), asyncio.TaskGroup() as writing:
            provider = Provider([daemon], http)
            for number in range(LATENESS_PEOPLE):
                phone = f"7901{number:07d}"
                writing.create_task(provider.bring([[[SentMessage(phone, f"wamid.{phone}", "hello")]]]))
                await asyncio.sleep(PAUSE_S)
            await receiver.count.reach(LATENESS_PEOPLE)
        return sorted(receiver.late_ms)


async def after_a_kill(folder: Path, *, pair: bool) -> list[float]:
    """From each kill -9 in the midst of delivering to the next delivery, ms.

    It is started again at once; of a pair the one that delivers is killed, and the other stands by.
    """
    pauses_ms = []
    async with empty_server() as (server, connection), Receiver() as receiver:
        await prepare(connection)
        daemons = [Serve(folder, name, server.url, receiver.sink(concurrency=1)) for name in ("one", "two")]
        async with served(daemons[0]), served(*daemons[1:] if pair else []):
            for _ in range(KILLS):
                await receiver.count.reach(receiver.count.value + 100)
                killed = await delivering(connection, "crm", daemons[: pair + 1])
                began = time.monotonic()
                await killed.kill()
                await asyncio.sleep(0.05)  # what it had sent arrives
                came_at, _ = await asyncio.gather(receiver.next_at(), killed.start())
                pauses_ms.append((came_at - began) * 1000)
    return pauses_ms


def percentiles(values: list[float]) -> str:
    return f"p50 {statistics.median(values):.0f}, p99 {values[len(values) * 99 // 100]:.0f}, worst {values[-1]:.0f} ms"


async def measure(folder: Path) -> None:
    for concurrency in PARALLEL:
        print(
            f"http, concurrency = {concurrency}: {await to_http(folder, concurrency):.0f} merged messages/s"
        )
    into_list = await throughput(folder, '[sinks.own]\ntype = "list"\nkey = "bot"\n', listed)
    print(f"list, concurrency = 16: {into_list:.0f} merged messages/s")
    print(
        f"from due to the receiver, {1 / PAUSE_S:.0f} people a second: {percentiles(await lateness(folder))}"
    )
    for pair, what in ((False, "one daemon, started again at once"), (True, "two daemons")):
        gaps = await after_a_kill(folder, pair=pair)
        print(f"kill -9 to the next delivery, {what}: {', '.join(f'{gap:.0f}' for gap in gaps)} ms")


async def bounded(folder: Path) -> None:
    async with asyncio.timeout(BOUND_S):
        await measure(folder)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="rfctl-bench-") as folder:
        asyncio.run(bounded(Path(folder)))


if __name__ == "__main__":
    main()
