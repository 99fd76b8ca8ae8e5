"""What a million pending batches cost, beside ten thousand: python -m bench grow

The batches come in as the daemon stores them. Beside them stands a Redis with nothing but the lists and the index. Measured are
the memory of the daemon, the bytes of a batch, what the operator's commands take, what a message costs the daemon and Redis,
and how late batches leave that become due meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench.cli import run_command
from bench.contenders import open_server, serve_rfctl
from bench.cpu import read_cpu_s, read_rss_mb
from bench.errors import BenchError
from bench.filling import (
    Desk,
    build_message,
    describe_lateness,
    open_desk,
    read_merged,
)
from bench.load import run_wrk
from bench.options import build_parser
from bench.results import Results
from rfctl.batching import Timers
from rfctl.store import replies
from tests.support.servers import RedisServer

SIZES = (10_000, 1_000_000)
A_CALL, AT_ONCE, CONNECTIONS, COMMAND_RUNS = 50, 4, 64, 3
A_DAY = Timers(86_400_000, 1_000, 86_400_000)
FILL_BARE = """
for i = ARGV[1], ARGV[1] + ARGV[2] - 1 do
  local phone = string.format('7%010d', i)
  for place = 1, ARGV[3] do redis.call('RPUSH', 'list:' .. phone, ARGV[4]) end
  redis.call('ZADD', 'index', ARGV[5] + i, phone)
end
"""
PROBERS, PROBES_A_SECOND, SOON_MS, PATIENCE_S = 8, 200, 60_000, 60
NOTE = (
    "Bytes are the growth of used_memory, and bare is a list and an entry of an index for each batch. A command's time is from "
    "its start to its end; --help shows what the start alone takes."
)


async def fill_by_rfctl(desk: Desk, batches: int, each: int) -> None:
    """Store pending batches as the daemon does, each a day away."""

    async def add(first: int) -> None:
        phones = range(first, min(first + A_CALL, batches))
        for place in range(each):
            await desk.batcher.add(
                [build_message(f"7{phone:010d}", phone * each + place) for phone in phones]
            )

    for start in range(0, batches, A_CALL * AT_ONCE):
        firsts = range(start, min(start + A_CALL * AT_ONCE, batches), A_CALL)
        await asyncio.gather(*(add(first) for first in firsts))


async def read_used_bytes(desk: Desk) -> int:
    """Return what Redis has allocated."""
    lines = replies.text(await desk.connection.call("INFO", "memory")).splitlines()
    return next(int(line.partition(":")[2]) for line in lines if line.startswith("used_memory:"))


async def read_item(desk: Desk, batch_key: str) -> bytes:
    """Return the first message of a batch as it is stored."""
    batch = await desk.store.batches.peek(batch_key)
    if batch is None:
        raise BenchError("a batch is missing")
    return batch.raw[0]


async def measure_bare(item: bytes, batches: int, each: int) -> float:
    """Return the bytes of a batch that is a list and an entry of an index, and nothing else."""
    server = open_server()
    try:
        async with open_desk(server, A_DAY) as desk:
            before = await read_used_bytes(desk)
            for first in range(0, batches, 10_000):
                count = min(10_000, batches - first)
                await desk.connection.call(
                    "EVAL", FILL_BARE, 0, first, count, each, item, time.time_ns() // 10**6
                )
            return (await read_used_bytes(desk) - before) / batches
    finally:
        server.stop()


def time_commands(home: Path, url: str) -> dict[str, float]:
    """Return how long commands of the operator take, ms: the median of some runs, each of another phone."""
    took: dict[str, list[float]] = {}
    for phone in (f"7{number:010d}" for number in range(COMMAND_RUNS)):
        lines = [
            ["--help"],
            ["stats", "--redis", url],
            ["inspect", phone, "--redis", url],
            ["flush", phone, "--redis", url],
        ]
        for line in lines:
            _, seconds = run_command([sys.executable, "-m", "rfctl", *line], home)
            took.setdefault(f"{line[0]} ms", []).append(seconds * 1000)
    return {name: statistics.median(times) for name, times in took.items()}


async def measure_lateness(desk: Desk, server: RedisServer, home: Path, seconds: float) -> dict[str, float]:
    """Return how late batches leave that come through a daemon's door and become due now.

    The daemon is another one, whose batches wait for a second. Raises TimeoutError when they do not leave.
    """
    [shard] = desk.store.shards
    start = await desk.store.output.last_id(shard)
    with serve_rfctl(home, server, RFCTL_BATCHING__QUIET_MS="1000") as live:
        prefix, pause_ms = f"{time.time_ns():x}", 1000 * PROBERS / PROBES_A_SECOND
        await asyncio.to_thread(
            run_wrk,
            live.url,
            PROBERS,
            seconds,
            form="steady",
            prefix=prefix,
            phones=1,
            delay_ms=round(pause_ms),
        )
        async with asyncio.timeout(PATIENCE_S):
            now = await desk.connection.now_ms(shard)
            while int(await desk.connection.call("ZCOUNT", shard.due, "-inf", now + SOON_MS)):
                await asyncio.sleep(0.2)
    merged = await read_merged(desk, start)
    return describe_lateness([batch.late_ms for batch in merged if batch.reason == "quiet"])


async def measure(
    batches: int, options: argparse.Namespace, server: RedisServer, home: Path, results: Results
) -> None:
    """Measure beside so many pending batches."""
    assert server.process is not None
    async with open_desk(server, A_DAY) as desk:
        before = await read_used_bytes(desk)
        await fill_by_rfctl(desk, batches, options.each)
        bytes_a_batch = (await read_used_bytes(desk) - before) / batches
        item = await read_item(desk, "70000000001")
    bare = await measure_bare(item, batches, options.each)
    with serve_rfctl(home, server) as live:
        pids = [*live.pids, server.process.pid]
        cpus = [read_cpu_s([pid]) for pid in pids]
        load = await asyncio.to_thread(
            run_wrk, live.url, CONNECTIONS, options.seconds, prefix=f"{time.time_ns():x}"
        )
        cpu, redis_cpu = (read_cpu_s([pid]) - cpu for pid, cpu in zip(pids, cpus, strict=True))
        times = await asyncio.to_thread(time_commands, home, server.url)
        rss = read_rss_mb(live.pids[0])
    async with open_desk(server, A_DAY) as desk:
        late = await measure_lateness(desk, server, home, options.seconds)
    if load.wrong:
        results.problems.append(f"{load.wrong} of {load.requests} requests got no 2xx")
    results.add(
        {
            "pending": f"{batches:,}", "RSS MB": rss, "bytes a batch": bytes_a_batch, "of bare": bytes_a_batch / bare,
            **times, "server µs": cpu / load.requests * 1e6, "Redis µs": redis_cpu / load.requests * 1e6, **late,
        }
    )  # fmt: skip


def main() -> int:
    """Measure, print and write. Returns 1 after a wrong answer."""
    parser = build_parser("Many pending batches.", cycles=1, seconds=5)
    parser.add_argument(
        "--pending", type=int, action="append", help="so many batches; may be repeated (10,000 and 1,000,000)"
    )
    parser.add_argument("--each", type=int, default=1, help="messages of a batch (1)")
    options = parser.parse_args()
    results = Results("grow", f"Batches of {options.each} messages. {NOTE}")
    with tempfile.TemporaryDirectory(prefix="rfctl-bench-") as folder:
        for cycle in range(options.cycles):
            for batches in options.pending or SIZES:
                server, home = open_server(), Path(folder) / f"{cycle}-{batches}"
                home.mkdir()
                try:
                    asyncio.run(measure(batches, options, server, home, results))
                finally:
                    server.stop()
    return results.report(options.out, cycles=options.cycles, seconds=options.seconds, each=options.each)
