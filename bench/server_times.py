"""How long calls take on the server itself: a server for measuring, and its times by phase."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rfctl.store import replies
from rfctl.store.connection import Connection
from rfctl.store.scripts import ScriptLibrary, list_verbs
from tests.support.servers import RedisServer

KIND = os.environ.get("RFCTL_BENCH_SERVER", "redis-server")
SLOW_US = 5_000


@dataclass(frozen=True, slots=True)
class Times:
    """How long the calls of one phase took on the server, µs. `slow` has the command and the time of those over 5 ms."""

    calls: int
    median_us: int
    p999_us: int
    slow: Sequence[tuple[str, int]]

    def __str__(self) -> str:
        longest = {name: max(us for other, us in self.slow if other == name) for name, _ in self.slow}
        counts = Counter(name for name, _ in self.slow)
        slow = ", ".join(f"{counts[name]} × {name} (longest {us / 1000:.1f})" for name, us in longest.items())
        return (
            f"{self.calls:>6} scripts, p50 {self.median_us / 1000:.2f} ms, p99.9 {self.p999_us / 1000:.2f} ms, "
            f"over 5 ms: {slow or 'none'}"
        )


def start_server(kind: str = KIND) -> RedisServer:
    """Start a server without AOF, which comes before all other load where this user may say so (Linux).

    On a busy machine the times would be those of the load.
    """
    options = ("--slowlog-log-slower-than", str(SLOW_US), "--slowlog-max-len", "10000")
    server = RedisServer(kind, *options, appendonly="no").start()
    if server.process is not None:
        with contextlib.suppress(OSError, AttributeError):
            os.sched_setscheduler(server.process.pid, os.SCHED_FIFO, os.sched_param(1))
    return server


def read_version(server: RedisServer) -> str:
    """Return the kind of server and its version."""
    with server.client() as client:
        info = client.info("server")
    return f"{server.kind} {info.get('valkey_version') or info['redis_version']}"


async def reset_times(connection: Connection) -> None:
    """Begin a phase."""
    await connection.call("CONFIG", "RESETSTAT")
    await connection.call("SLOWLOG", "RESET")


async def read_times(connection: Connection) -> Times:
    """Return the times since the last reset. Median and p99.9 are of scripts, and rounded up to powers of two."""
    reply = replies.array(await connection.call("LATENCY", "HISTOGRAM", "evalsha"))
    fields = replies.array(reply[1]) if reply else [b"calls", 0, b"histogram_usec", []]
    calls, buckets = replies.integer(fields[1]), replies.integers(fields[3])
    cumulated = list(zip(buckets[::2], buckets[1::2], strict=True))

    def find_quantile(share: float) -> int:
        return next((until for until, count in cumulated if count >= share * calls), 0)

    verbs = {ScriptLibrary().script(verb).sha: verb for verb in list_verbs()}
    slow = []
    for entry in replies.array(await connection.call("SLOWLOG", "GET", 10_000)):
        _, _, us, command, *_ = replies.array(entry)
        words = replies.texts(replies.array(command)[:2])
        slow.append((verbs.get(words[-1], words[0]), replies.integer(us)))
    return Times(calls, find_quantile(0.5), find_quantile(0.999), slow)
