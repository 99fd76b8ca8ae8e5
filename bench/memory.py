"""How much memory the daemon needs at most: python -m bench memory [SCENARIO …]

Clients mean no good, or what waits in Redis is large. Each scenario runs one daemon process on a server of its own, and
clients and receivers in this process on loopback. It ends by itself. The table has VmHWM of the daemon: the most that it
ever held. The bar is 150 MB. The server holds 1 GB in merged-…, and
6.6 GB in pending.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import platform
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from aiohttp import web

from bench.floods import CLIENTS, FLOODS
from rfctl import __version__
from rfctl.model.message import Message
from rfctl.store.address import RedisAddress
from rfctl.store.connection import Connection
from tests.support.batching import make_rig
from tests.support.processes import Daemon
from tests.support.servers import RedisServer
from tests.support.traffic import Count
from tests.support.waiting import wait_until

BAR_MB = 150
MERGED, MERGED_OF, MERGED_BYTES = 100, 10, 10_000_000
"""An entry of the stream has every text twice: merged, and in its message."""
PENDING, PENDING_BYTES, STATS_LINES = 100_000, 65_536, 15
BOUND_S = 300


@dataclass(frozen=True, slots=True)
class Result:
    """What a daemon held at its start and at most, MB, and what happened."""

    base_mb: float
    peak_mb: float
    answers: Counter[str]


Scenario = Callable[[str, RedisServer], Result]


def read_peak_mb(pid: int) -> float:
    """Return the most memory that a process ever held, MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


@contextlib.contextmanager
def daemon_on(server: RedisServer, **variables: str) -> Iterator[Daemon]:
    """Run a daemon of this tree on a server until the end of the block."""
    with tempfile.TemporaryDirectory() as folder:
        root = str(Path(__file__).parents[1])
        daemon = Daemon(Path(folder), RFCTL_REDIS__URL=server.url, PYTHONPATH=root, **variables)
        try:
            yield daemon
        finally:
            daemon.end()


def run_flood(name: str, server: RedisServer) -> Result:
    """Flood a daemon, and return what came of it."""
    flood, variables = FLOODS[name]
    with daemon_on(server, **variables) as daemon:
        base = read_peak_mb(daemon.pid)
        answers = asyncio.run(flood(daemon.url))
        return Result(base, read_peak_mb(daemon.pid), answers)


async def write_merged(server: RedisServer) -> int:
    """Write merged messages of 10 MB, each of another phone. Returns the bytes of the text of one."""
    connection = Connection.open(RedisAddress(server.url, "bench", timeout_ms=60_000))
    rig = make_rig(connection, max_size=MERGED_OF)
    text = "x" * (MERGED_BYTES // MERGED_OF // 2)
    try:
        for number in range(MERGED):
            for place in range(MERGED_OF):
                message = Message(phone=f"7900{number:07d}", text=text, id=str(place), channel="generic")
                await rig.add([message])
        await rig.hand_over()
        [entry] = await rig.store.output.read_after(rig.shards[0], "0-0", 1)
        return len(entry.text)
    finally:
        await connection.close()


def deliver_to_list(_name: str, server: RedisServer) -> Result:
    """Start a daemon with a list sink before large merged messages."""
    size = asyncio.run(write_merged(server))
    sinks = {"RFCTL_SINKS__INBOX__TYPE": "list", "RFCTL_SINKS__INBOX__KEY": "inbox"}
    with daemon_on(server, **sinks) as daemon, server.client() as client:
        base = read_peak_mb(daemon.pid)
        wait_until(lambda: client.llen("inbox") == MERGED, BOUND_S)
        return Result(base, read_peak_mb(daemon.pid), Counter({"delivered": MERGED, "bytes of a text": size}))


def deliver_to_http(_name: str, server: RedisServer) -> Result:
    """Start a daemon with an HTTP sink before large merged messages."""
    return asyncio.run(_deliver_to_http(server))


async def _deliver_to_http(server: RedisServer) -> Result:
    size, answered = await write_merged(server), Count()

    async def answer(request: web.Request) -> web.Response:
        async for _ in request.content.iter_any():
            pass
        answered.add(1)
        return web.Response()

    app = web.Application(client_max_size=0)
    app.router.add_post("/hook", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    sinks = {
        "RFCTL_SINKS__CRM__TYPE": "http", "RFCTL_SINKS__CRM__ALLOW_PRIVATE": "true",
        "RFCTL_SINKS__CRM__URL": f"http://127.0.0.1:{runner.addresses[0][1]}/hook",
        "RFCTL_SINKS__CRM__SECRETS": f'["whsec_{"c2VjcmV0" * 4}"]', "RFCTL_SINKS__CRM__CONCURRENCY": "16",
        "RFCTL_SINKS__CRM__TIMEOUT_MS": "60000",
    }  # fmt: skip
    starting = contextlib.ExitStack()
    try:
        daemon = await asyncio.to_thread(starting.enter_context, daemon_on(server, **sinks))
        base = read_peak_mb(daemon.pid)
        async with asyncio.timeout(BOUND_S):
            await answered.reach(MERGED)
        return Result(base, read_peak_mb(daemon.pid), Counter({"delivered": MERGED, "bytes of a text": size}))
    finally:
        await asyncio.to_thread(starting.close)
        await runner.cleanup()


def log_stats_beside_pending(_name: str, server: RedisServer) -> Result:
    """Log the stats line every second, and look at everything once, beside many pending messages."""
    with server.client() as client:
        for start in range(0, PENDING, 1000):
            client.eval(FILL, 0, str(start), str(min(1000, PENDING - start)), str(PENDING_BYTES))
        stored = client.info("memory")["used_memory"]
    with daemon_on(server, RFCTL_DAEMON__STATS_LOG_S="1") as daemon:
        base = read_peak_mb(daemon.pid)
        wait_until(lambda: _count_stats(daemon) >= STATS_LINES, BOUND_S)
        line = daemon.find_event("stats_reported")
        assert line["batches"] == PENDING, line
        answers = Counter({"stats lines": _count_stats(daemon), "pending": PENDING})
        peak = read_peak_mb(daemon.pid)
        daemon.kill()  # it would hand over everything
    return Result(base, peak, answers + Counter({"MB in Redis": round(stored / 1e6)}))


def _count_stats(daemon: Daemon) -> int:
    return sum(line["event"] == "stats_reported" for line in daemon.lines)


FILL = """
local t = redis.call('TIME'); local now = t[1] * 1000
local text = string.rep('x', ARGV[3])
for i = ARGV[1], ARGV[1] + ARGV[2] - 1 do
  local name = string.format('7%010d', i)
  redis.call('RPUSH', 'rapid-fire:' .. name, '{"message":"' .. text .. '","companyId":null,"channel":"generic",' ..
    '"messageId":"' .. i .. '","type":"text","metadata":{},"timestamp":1,"receivedAt":' ..
    string.format('%.0f', now) .. ',"waitMs":5000}')
  redis.call('ZADD', 'rfctl:due', string.format('%.0f', now + 280000), name)
end
redis.call('HINCRBY', 'rfctl:totals', 'messages_in', ARGV[2])
"""
"""Writes batches of a message each."""


SCENARIOS: dict[str, tuple[Scenario, str]] = {
    **dict.fromkeys(FLOODS, (run_flood, "yes")),
    "merged-to-http": (deliver_to_http, "no"),
    "merged-to-list": (deliver_to_list, "no"),
    "pending": (log_stats_beside_pending, "no"),
}
"""Name → the scenario, and whether its server has an AOF."""


def measure(name: str) -> float:
    """Run a scenario, print its line, and return the peak in MB."""
    scenario, appendonly = SCENARIOS[name]
    server = RedisServer("embedded", appendonly=appendonly).start()
    try:
        began = time.monotonic()
        result = scenario(name, server)
        took = time.monotonic() - began
    finally:
        server.stop()
    outcome = ", ".join(f"{what}: {count}" for what, count in sorted(result.answers.items()))
    print(f"{name:20} {result.base_mb:8.0f} {result.peak_mb:8.0f} {took:6.0f}  {outcome}", flush=True)
    return result.peak_mb


def main() -> int:
    """Measure the scenarios of the command line, by default all. Returns 1 if a peak is over the bar."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scenario", nargs="*", choices=[[], *SCENARIOS])
    names = parser.parse_args().scenario or list(SCENARIOS)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(
        f"rfctl {__version__}, Python {platform.python_version()}, uvicorn {uvicorn.__version__}, {CLIENTS} clients"
    )
    print(f"{'scenario':20} {'start MB':>8} {'peak MB':>8} {'s':>6}  answers (the bar is {BAR_MB} MB)")
    return int(max(measure(name) for name in names) >= BAR_MB)


if __name__ == "__main__":
    sys.exit(main())
