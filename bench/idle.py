"""How much of a core a daemon takes that has nothing to do: python -m bench idle

It has one sink, one source and no shards. The time begins well behind its start, the first sweep and the
first look. A run lasts two minutes, so the look of each minute is in it twice. What else the machine did meanwhile is
shown: beside other load the same work takes more time, as caches are cold.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from bench.contenders import open_server, serve_rfctl
from bench.cpu import read_cpu_s, read_rss_mb
from bench.options import build_parser
from bench.results import Results

SETTLING_S = 15
SINK = {"RFCTL_SINKS__BENCH__TYPE": "list", "RFCTL_SINKS__BENCH__KEY": "inbox"}
NOTE = "A daemon with one sink, and no message. Shares are of one core."


def read_machine_cpu_s() -> float:
    """Return the CPU time that all processes of this machine have had so far, s."""
    user, nice, system = Path("/proc/stat").read_text().split(maxsplit=4)[1:4]
    return (int(user) + int(nice) + int(system)) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Measure, print and write."""
    options = build_parser("An idle daemon.", cycles=1, seconds=120).parse_args()
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
                machine, began = read_machine_cpu_s(), time.monotonic()
                cpu, redis_cpu = read_cpu_s(live.pids), read_cpu_s(redis_pids)
                time.sleep(options.seconds)
                took = time.monotonic() - began
                own, of_redis = read_cpu_s(live.pids) - cpu, read_cpu_s(redis_pids) - redis_cpu
                others = read_machine_cpu_s() - machine - own - of_redis
                results.add(
                    {
                        "idle": "daemon", "daemon %": own / took * 100, "Redis %": of_redis / took * 100,
                        "others %": others / took * 100, "RSS MB": read_rss_mb(live.pids[0]),
                    }
                )  # fmt: skip
        finally:
            server.stop()
    return results.report(options.out, cycles=options.cycles, seconds=options.seconds)
