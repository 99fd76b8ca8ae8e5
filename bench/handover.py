"""How fast very many batches leave that are due at once, and how late newly due ones are meanwhile: python -m bench handover

First the bare script: `hand_over` with four calls on the wire, as one raw connection sends them. Then a daemon with as many
batches that become due in the same millisecond. How long it took is read from the ids of the output stream. While they leave,
batches of other phones become due, one every 5 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from bench.contenders import open_server, serve_rfctl
from bench.cpu import read_cpu_s
from bench.errors import BenchError
from bench.filling import (
    add_probes,
    build_message,
    describe_lateness,
    fill,
    open_desk,
    read_merged,
    wait_until_gone,
)
from bench.options import build_parser
from bench.piped import RawConnection, pack, recording
from bench.results import Results
from rfctl.batching import Timers
from tests.support.servers import RedisServer

ON_WIRE, TEXT_BYTES = 4, 30
PROBE_TIMERS, SOON = Timers(100, 10, 60_000), Timers(1, 10, 60_000)
PATIENCE_S = 300
NOTE = (
    "Batches that are due at once. Lateness is that of batches which became due meanwhile; the bare script has none. The last "
    "column is the share of the bare script's rate."
)


async def record_hand_over(server: RedisServer) -> list[bytes]:
    """Return the call of `hand_over` that a daemon makes."""
    async with recording(server, SOON) as (batcher, relay):
        await batcher.add([build_message("1", 1)])
        await asyncio.sleep(0.05)
        while not (await batcher.hand_over(0, "oldest")).batches:
            await asyncio.sleep(0.01)
        return relay.take_commands("hand_over")[-1]


async def hand_over_bare(server: RedisServer, batches: int, size: int) -> float:
    """Return batches a second of the bare script with four calls on the wire."""
    command = pack(await record_hand_over(server))
    async with open_desk(server, SOON) as desk:
        await desk.connection.call("FLUSHALL")
        await fill(desk.connection, batches, size, TEXT_BYTES, due_in_ms=-1000, apart_ms=0)
    connection = RawConnection.open(server)
    try:
        return await asyncio.to_thread(_repeat_until_empty, connection, command, batches)
    finally:
        connection.close()


def _repeat_until_empty(connection: RawConnection, command: bytes, batches: int) -> float:
    began, count = time.perf_counter(), 0
    connection.send(command * ON_WIRE)
    while count < batches:
        reply = connection.receive()
        if not isinstance(reply, list) or not reply[0]:
            raise BenchError(f"hand_over: {batches - count} batches did not leave")
        count += reply[0]
        connection.send(command)
    took = time.perf_counter() - began
    for _ in range(ON_WIRE):
        connection.receive()
    return batches / took


async def hand_over_by_daemon(
    server: RedisServer, home: Path, batches: int, size: int
) -> dict[str, float | str]:
    """Return the figures of a daemon with so many batches that are due at once."""
    async with open_desk(server, PROBE_TIMERS) as desk:
        with serve_rfctl(home, server) as live:
            began = time.monotonic()
            due_in_ms = 3_000 + batches // 10
            await fill(desk.connection, batches, size, TEXT_BYTES, due_in_ms=due_in_ms, apart_ms=0)
            await asyncio.sleep(max(0.0, began + due_in_ms / 1000 - 0.5 - time.monotonic()))
            cpu = read_cpu_s(live.pids)
            probes = 0
            async with asyncio.timeout(PATIENCE_S):
                while not probes or int(await desk.connection.call("ZCARD", desk.store.shards[0].due)) > 200:
                    probes += await add_probes(desk, 1, probes)
            await wait_until_gone(desk, PATIENCE_S)
            cpu = read_cpu_s(live.pids) - cpu
        merged = await read_merged(desk)
    times = [int(batch.id.partition("-")[0]) for batch in merged if batch.phone.startswith("70")]
    if len(times) != batches or len(merged) != batches + probes:
        raise BenchError(f"{batches + probes} batches were due, and {len(merged)} left")
    first, last = min(times), max(times)
    late = [
        batch.late_ms
        for batch in merged
        if batch.phone.startswith("79") and int(batch.id.partition("-")[0]) <= last
    ]
    rate = batches / (max(1, last - first) / 1000)
    return {"batches/s": rate, "daemon µs": cpu / batches * 1e6, **describe_lateness(late)}


async def measure(options: argparse.Namespace, folder: Path, results: Results, cycle: int) -> None:
    """Measure the bare script and the daemon once."""
    server = open_server()
    try:
        bare = await hand_over_bare(server, options.batches, options.each)
    finally:
        server.stop()
    results.add({"hand-over": f"bare script, {ON_WIRE} on the wire", "batches/s": bare})
    server, home = open_server(), folder / str(cycle)
    home.mkdir()
    try:
        figures = await hand_over_by_daemon(server, home, options.batches, options.each)
    finally:
        server.stop()
    results.add({"hand-over": "daemon", **figures, "of bare": float(figures["batches/s"]) / bare})


def main() -> int:
    """Measure, print and write."""
    parser = build_parser("Batches that are due at once.", cycles=5, seconds=0)
    parser.add_argument("--batches", type=int, default=100_000)
    parser.add_argument("--each", type=int, default=3, help="messages of a batch (3)")
    options = parser.parse_args()
    results = Results("handover", f"{options.batches:,} batches of {options.each} messages. {NOTE}")
    with tempfile.TemporaryDirectory(prefix="rfctl-bench-") as folder:
        for cycle in range(options.cycles):
            asyncio.run(measure(options, Path(folder), results, cycle))
    return results.report(options.out, cycles=options.cycles, batches=options.batches, each=options.each)
