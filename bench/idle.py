"""How much of a core a daemon takes that has nothing to do: python -m bench idle

It has one sink, one source and no shards. The time begins some seconds behind its start.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from bench.contenders import open_server, serve_rfctl
from bench.cpu import read_cpu_s, read_rss_mb
from bench.options import build_parser
from bench.results import Results

SETTLING_S = 5
SINK = {"RFCTL_SINKS__BENCH__TYPE": "list", "RFCTL_SINKS__BENCH__KEY": "inbox"}
NOTE = "A daemon with one sink, and no message. Shares are of one core."


def main() -> int:
    """Measure, print and write."""
    options = build_parser("An idle daemon.", cycles=1, seconds=30).parse_args()
    results = Results("idle", NOTE)
    for _ in range(options.cycles):
        server = open_server()
        try:
            with (
                tempfile.TemporaryDirectory(prefix="rfctl-bench-") as folder,
                serve_rfctl(Path(folder), server, **SINK) as live,
            ):
                assert server.process is not None
                redis_pids = [server.process.pid]
                time.sleep(SETTLING_S)
                began, cpu, redis_cpu = time.monotonic(), read_cpu_s(live.pids), read_cpu_s(redis_pids)
                time.sleep(options.seconds)
                took = time.monotonic() - began
                results.add(
                    {
                        "idle": "daemon", "daemon %": (read_cpu_s(live.pids) - cpu) / took * 100,
                        "Redis %": (read_cpu_s(redis_pids) - redis_cpu) / took * 100, "RSS MB": read_rss_mb(live.pids[0]),
                    }
                )  # fmt: skip
        finally:
            server.stop()
    return results.report(options.out, cycles=options.cycles, seconds=options.seconds)
