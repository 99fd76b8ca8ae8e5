"""How late batches are handed over while messages come at half of the highest rate: python -m bench late

Each phone sends all of its messages at once and is then silent, so that a thousand batches a second become due. First
the highest rate is measured. Lateness is what the daemon itself writes into each merged message.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from bench.contenders import open_server, serve_rfctl
from bench.filling import describe_lateness, open_desk, read_merged, wait_until_gone
from bench.load import Load, run_wrk
from bench.options import build_parser
from bench.results import Results
from rfctl.batching import Timers
from tests.support.servers import RedisServer

QUIET_MS, BATCHES_A_SECOND, CONNECTIONS, PEAK_S, SHARE = 1_000, 1_000, 64, 2, 0.5
PATIENCE_S = 60
NOTE = (
    "Batches that leave after silence, while messages come at half of the highest rate over 64 connections."
)


def send_at_rate(url: str, rate: float, seconds: float) -> Load:
    """Send messages at about this rate: each connection pauses behind each answer, for a random time of this mean."""
    pause_s = CONNECTIONS / rate
    trial = _send_with_pause(url, pause_s, rate, 1)
    answering_s = max(0.0, CONNECTIONS / (trial.requests / trial.seconds) - pause_s)
    return _send_with_pause(url, max(0.001, pause_s - answering_s), rate, seconds)


def _send_with_pause(url: str, pause_s: float, rate: float, seconds: float) -> Load:
    each = max(1, round(rate / BATCHES_A_SECOND))
    return run_wrk(
        url, CONNECTIONS, seconds, form="steady", prefix=f"{time.time_ns():x}", phones=each, delay_ms=round(pause_s * 1000)
    )  # fmt: skip


async def measure(server: RedisServer, home: Path, seconds: float, results: Results) -> None:
    """Measure once, on a daemon of its own."""
    variables = {
        "RFCTL_BATCHING__QUIET_MS": str(QUIET_MS), "RFCTL_BATCHING__MAX_SIZE": "100", "RFCTL_DAEMON__STATS_LOG_S": "0"
    }  # fmt: skip
    async with open_desk(server, Timers(QUIET_MS, 100, 60_000)) as desk:
        with serve_rfctl(home, server, **variables) as live:
            peak = await asyncio.to_thread(
                run_wrk, live.url, CONNECTIONS, PEAK_S, prefix=f"{time.time_ns():x}"
            )
            rate = peak.requests / peak.seconds * SHARE
            await wait_until_gone(desk, PATIENCE_S)
            start = await desk.store.output.last_id(desk.store.shards[0])
            load = await asyncio.to_thread(send_at_rate, live.url, rate, seconds)
            await wait_until_gone(desk, PATIENCE_S)
        merged = [batch for batch in await read_merged(desk, start) if batch.reason == "quiet"]
    times = [int(batch.id.partition("-")[0]) for batch in merged]
    span_s = max(1, max(times, default=0) - min(times, default=0)) / 1000
    if load.wrong:
        results.problems.append(f"{load.wrong} of {load.requests} requests got no 2xx")
    results.add(
        {
            "late": "daemon", "highest messages/s": peak.requests / peak.seconds,
            "messages/s": load.requests / load.seconds, "batches/s": len(merged) / span_s,
            **describe_lateness([batch.late_ms for batch in merged]), "answer p99 ms": load.p99_us / 1000,
        }
    )  # fmt: skip


def run_late(options: argparse.Namespace, folder: Path, results: Results) -> None:
    """Measure so many times, each on a Redis of its own."""
    for cycle in range(options.cycles):
        server, home = open_server(), folder / str(cycle)
        home.mkdir()
        try:
            asyncio.run(measure(server, home, options.seconds, results))
        finally:
            server.stop()


def main() -> int:
    """Measure, print and write. Returns 1 after a wrong answer."""
    options = build_parser("Lateness under load.", cycles=5, seconds=10).parse_args()
    results = Results("late", NOTE)
    with tempfile.TemporaryDirectory(prefix="rfctl-bench-") as folder:
        run_late(options, Path(folder), results)
    return results.report(options.out, cycles=options.cycles, seconds=options.seconds)
