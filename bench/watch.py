"""How much of a core somebody who watches takes, of their own and of Redis: python -m bench watch

100,000 batches wait, of three messages each, and nothing moves. A look each second is what the page and `rfctl top` do.
Beside it stands a whole snapshot each second, as `rfctl stats --watch` takes it. Then a daemon serves the page to browsers
that do nothing but read: "own" is the daemon then, with all that it does besides.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from bench.contender import Running
from bench.contenders import open_server, serve_rfctl
from bench.cpu import read_cpu_s
from bench.errors import BenchError
from bench.filling import fill, open_desk
from bench.options import build_parser
from bench.results import Results
from rfctl.batching import Timers
from rfctl.observe import take_snapshot
from rfctl.observe.watching import Watcher
from rfctl.store import ConfiguredSink
from rfctl.store.rights import build_rights
from tests.support.servers import RedisServer

BATCHES, SIZE, TEXT_BYTES = 100_000, 3, 60
HOUR_MS = 3_600_000
VIEWERS = (0, 1, 8)
SETTLING_S = 45  # the first sweep looks at every list
SINKS = [ConfiguredSink("bot", "http", "rfctl:bot"), ConfiguredSink("audit", "http", "rfctl:audit")]
NOTE = f"{BATCHES:,} batches wait, of {SIZE} messages each. A look each second; shares are of one core."


async def measure(server: RedisServer, seconds: float) -> list[dict[str, float | int | str]]:
    """Fill a Redis, and watch it in each way for so long."""
    async with open_desk(server, Timers(quiet_ms=HOUR_MS, max_size=10, max_wait_ms=HOUR_MS)) as desk:
        await fill(desk.connection, BATCHES, SIZE, TEXT_BYTES)
        await desk.store.output.ensure_groups([sink.group for sink in SINKS])
        rights = build_rights(desk.store._keyspace, desk.store.db)
        watcher = Watcher(desk.store, SINKS, rights=rights)
        snapshot = partial(take_snapshot, desk.store, SINKS, rights=rights)
        rows = [
            await watch(server, "look", watcher.look, seconds),
            await watch(server, "snapshot", snapshot, seconds),
        ]
    with (
        tempfile.TemporaryDirectory(prefix="rfctl-bench-") as folder,
        serve_rfctl(Path(folder), server) as live,
    ):
        await asyncio.sleep(SETTLING_S)
        return rows + [await serve(server, live, count, seconds) for count in VIEWERS]


async def watch(
    server: RedisServer, how: str, look: Callable[[], Awaitable[object]], seconds: float
) -> dict[str, float | int | str]:
    """Look each second for so long. Returns the row."""
    assert server.process is not None
    await look()
    pids, times_ms = [server.process.pid], []
    redis_cpu, own_cpu, began = read_cpu_s(pids), read_cpu_s([os.getpid()]), time.monotonic()
    while (now := time.monotonic()) - began < seconds:
        await look()
        times_ms.append((time.monotonic() - now) * 1000)
        await asyncio.sleep(max(0, 1 - (time.monotonic() - now)))
    took = time.monotonic() - began
    own_cpu, redis_cpu = read_cpu_s([os.getpid()]) - own_cpu, read_cpu_s(pids) - redis_cpu
    return {
        "how": how, "looks": len(times_ms), "own %": own_cpu / took * 100, "Redis %": redis_cpu / took * 100,
        "longest ms": max(times_ms),
    }  # fmt: skip


async def serve(
    server: RedisServer, live: Running, viewers: int, seconds: float
) -> dict[str, float | int | str]:
    """Have so many browsers read the events of the page for so long. Returns the row."""
    assert server.process is not None
    streams = [asyncio.create_task(read_events(live.url)) for _ in range(viewers)]
    await asyncio.sleep(2)
    redis_cpu, own_cpu, began = read_cpu_s([server.process.pid]), read_cpu_s(live.pids), time.monotonic()
    await asyncio.sleep(seconds)
    took = time.monotonic() - began
    own_cpu, redis_cpu = read_cpu_s(live.pids) - own_cpu, read_cpu_s([server.process.pid]) - redis_cpu
    for stream in streams:
        stream.cancel()
    counts = await asyncio.gather(*streams, return_exceptions=True)
    broken = [count for count in counts if not isinstance(count, asyncio.CancelledError)]
    if broken:
        raise BenchError(f"a stream of events ended by itself: {broken[0]!r}")
    return {
        "how": f"page, {viewers} watching", "looks": round(took) if viewers else 0, "own %": own_cpu / took * 100,
        "Redis %": redis_cpu / took * 100, "longest ms": 0,
    }  # fmt: skip


async def read_events(url: str) -> None:
    """Read the events until it is cancelled; ends when the daemon ends them."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(f"GET /page/events HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
        if b" 200 " not in await reader.readline():
            raise BenchError("the daemon serves no events")
        while await reader.read(65_536):
            pass
    finally:
        writer.close()


def main() -> int:
    """Measure, print and write."""
    options = build_parser("Somebody who watches.", cycles=1, seconds=60).parse_args()
    results = Results("watch", NOTE)
    for _ in range(options.cycles):
        server = open_server()
        try:
            for row in asyncio.run(measure(server, options.seconds)):
                results.add(row)
        finally:
            server.stop()
    return results.report(options.out, cycles=options.cycles, seconds=options.seconds)
