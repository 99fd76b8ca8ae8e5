"""How much of a core somebody who watches takes, of their own and of Redis: python -m bench watch

100,000 batches wait, of three messages each, and nothing moves. A look each second is what the page and `rfctl top` do.
Beside it stands a whole snapshot each second, as `rfctl stats --watch` takes it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from functools import partial

from bench.contenders import open_server
from bench.cpu import read_cpu_s
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
SINKS = [ConfiguredSink("bot", "http", "rfctl:bot"), ConfiguredSink("audit", "http", "rfctl:audit")]
NOTE = f"{BATCHES:,} batches wait, of {SIZE} messages each. A look each second; shares are of one core."


async def measure(server: RedisServer, seconds: float) -> list[dict[str, float | int | str]]:
    """Fill a Redis, and watch it in each way for so long."""
    async with open_desk(server, Timers(quiet_ms=5000, max_size=10, max_wait_ms=30_000)) as desk:
        await fill(desk.connection, BATCHES, SIZE, TEXT_BYTES)
        await desk.store.output.ensure_groups([sink.group for sink in SINKS])
        rights = build_rights(desk.store._keyspace, desk.store.db)
        watcher = Watcher(desk.store, SINKS, max_sizes={}, rights=rights)
        snapshot = partial(take_snapshot, desk.store, SINKS, rights=rights)
        return [
            await watch(server, "look", watcher.look, seconds),
            await watch(server, "snapshot", snapshot, seconds),
        ]


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
