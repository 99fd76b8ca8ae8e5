"""How many merged messages a second are delivered, and in which order: python -m bench forward

To HTTP, BullMQ, a list and a stream, 64 at once. The merged messages are in the output stream before the daemon starts, some
for each phone. The time goes from the first delivery to the last. A delivery out of the order of its phone makes the run fail.
With --log-off each sink is also measured without the delivery log, in turns.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import redis

from bench.callgrind import ROOT
from bench.contenders import open_server, serve_rfctl
from bench.cpu import read_cpu_s
from bench.errors import BenchError
from bench.filling import build_message, open_desk
from bench.options import build_parser
from bench.results import Results
from rfctl.batching import Timers
from tests.support.processes import Process, environment
from tests.support.servers import RedisServer

AT_ONCE, PHONES, A_CALL = 64, 500, 50
FULL_AT_ONCE = Timers(3_600_000, 1, 3_600_000)
PATIENCE_S, LOOK_S = 300, 0.005
SECRET = f"whsec_{'c2VjcmV0' * 4}"
NOTE = "Merged messages of one message each, 64 attempts at once. The order of each phone was checked."
Payload = dict[str, Any]


async def write_merged(server: RedisServer, count: int) -> None:
    """Put merged messages into the output stream. The text of each is its number among those of its phone."""
    async with open_desk(server, FULL_AT_ONCE) as desk:
        for first in range(0, count, A_CALL):
            numbers = range(first, min(first + A_CALL, count))
            await desk.batcher.add(
                [
                    build_message(f"7900{number % PHONES:07d}", number, str(number // PHONES))
                    for number in numbers
                ]
            )


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sink puts things in Redis: how many are there, and all of them, the first first."""

    variables: dict[str, str]
    count: Callable[[redis.Redis], int]
    read: Callable[[redis.Redis], Iterable[Payload]]


def _read_list(client: Any) -> Iterator[Payload]:
    return (json.loads(payload) for payload in client.lrange("inbox", 0, -1))


def _read_stream(client: Any) -> Iterator[Payload]:
    return ({"from": entry["phone"], "message": entry["text"]} for _, entry in client.xrange("copy"))


def _read_jobs(client: Any) -> Iterator[Payload]:
    for job in reversed(client.lrange("bull:inbox:wait", 0, -1)):
        yield json.loads(client.hget(f"bull:inbox:{job}", "data"))


PLACES = {
    "BullMQ": Place(
        {"TYPE": "bullmq", "QUEUE": "inbox"}, lambda client: _length(client, "bull:inbox:wait"), _read_jobs
    ),
    "list": Place({"TYPE": "list", "KEY": "inbox"}, lambda client: _length(client, "inbox"), _read_list),
    "stream": Place(
        {"TYPE": "stream", "KEY": "copy"}, lambda client: int(str(client.xlen("copy"))), _read_stream
    ),
}


def _length(client: redis.Redis, key: str) -> int:
    return int(str(client.llen(key)))


def count_disordered(payloads: Iterable[Payload]) -> int:
    """Return how many payloads do not follow the one before them of their phone."""
    expected: dict[str, int] = {}
    disordered = 0
    for payload in payloads:
        number, phone = int(payload["message"]), payload["from"]
        disordered += number != expected.get(phone, 0)
        expected[phone] = number + 1
    return disordered


def _name_variables(variables: dict[str, str]) -> dict[str, str]:
    own = {f"RFCTL_SINKS__BENCH__{name}": value for name, value in variables.items()}
    return own | {"RFCTL_SINKS__BENCH__CONCURRENCY": str(AT_ONCE)}


@dataclass(frozen=True, slots=True)
class Delivered:
    """How long the deliveries took, the daemon's CPU time for them, s, and how many were out of order."""

    seconds: float
    cpu_s: float
    disordered: int


def deliver_into(
    place: Place, server: RedisServer, home: Path, count: int, variables: dict[str, str]
) -> Delivered:
    """Deliver into Redis. The place is looked at every few ms."""
    with (
        serve_rfctl(home, server, **_name_variables(place.variables), **variables) as live,
        server.client() as client,
    ):
        cpu, first, first_at = read_cpu_s(live.pids), place.count(client), time.monotonic()
        deadline = first_at + PATIENCE_S
        while (done := place.count(client)) < count:
            if not first:
                first, first_at = done, time.monotonic()
            if time.monotonic() > deadline:
                raise BenchError(f"{done} of {count} merged messages were delivered")
            time.sleep(LOOK_S)
        seconds = (time.monotonic() - first_at) * count / max(1, count - first)
        return Delivered(seconds, read_cpu_s(live.pids) - cpu, count_disordered(place.read(client)))


def deliver_over_http(server: RedisServer, home: Path, count: int, variables: dict[str, str]) -> Delivered:
    """Deliver to a receiver on loopback, a process of its own."""
    command = [sys.executable, "-m", "bench.peers.receiver", str(count)]
    with Process(command, environment(home, PYTHONPATH=str(ROOT))) as receiver:
        port = int(receiver.stdout.wait_for(lambda line: line.startswith("listening ")).split()[1])
        own = {
            "TYPE": "http", "URL": f"http://127.0.0.1:{port}/", "ALLOW_PRIVATE": "true", "SECRETS": f'["{SECRET}"]'
        }  # fmt: skip
        with serve_rfctl(home, server, **_name_variables(own), **variables) as live:
            cpu = read_cpu_s(live.pids)
            tally = json.loads(receiver.stdout.wait_for(lambda line: line.startswith("{"), PATIENCE_S))
            return Delivered(float(tally["seconds"]), read_cpu_s(live.pids) - cpu, int(tally["disordered"]))


def measure(sink: str, home: Path, count: int, results: Results, *, log: str = "on") -> None:
    """Measure a type of sink once, on a Redis of its own, with the delivery log `on` or `off`."""
    home.mkdir(parents=True)
    server = open_server()
    variables = {"RFCTL_DELIVERY_LOG__MAX_BYTES": "0"} if log == "off" else {}
    try:
        asyncio.run(write_merged(server, count))
        deliver = deliver_over_http if sink == "HTTP" else partial(deliver_into, PLACES[sink])
        delivered = deliver(server, home, count, variables)
        with server.client() as client:
            entry_bytes = _measure_entry(client)
    finally:
        server.stop()
    if delivered.disordered:
        results.problems.append(f"{sink}: {delivered.disordered} deliveries were out of order")
    rate = count / max(LOOK_S, delivered.seconds)
    row = {
        "merged messages/s": rate,
        "daemon µs": delivered.cpu_s / count * 1e6,
        "bytes a log entry": entry_bytes,
    }
    results.add({"sink": sink, "log": log, **row})


def _measure_entry(client: Any) -> float:
    """Return how many bytes of Redis an entry of the delivery log takes; 0 where there is none."""
    length = client.xlen("rfctl:log")
    return client.memory_usage("rfctl:log", samples=0) / length if length else 0.0


def main() -> int:
    """Measure, print and write. Returns 1 after a delivery out of order."""
    parser = build_parser("Deliveries to sinks.", cycles=5, seconds=0)
    parser.add_argument("--count", type=int, default=10_000, help="merged messages (10,000)")
    parser.add_argument(
        "--sink", action="append", choices=["HTTP", *PLACES], help="only this one (repeatable)"
    )
    parser.add_argument("--log-off", action="store_true", help="also without the delivery log, in turns")
    options = parser.parse_args()
    logs = ("on", "off") if options.log_off else ("on",)
    results = Results("forward", NOTE)
    with tempfile.TemporaryDirectory(prefix="rfctl-bench-") as folder:
        for cycle in range(options.cycles):
            for sink in options.sink or ("HTTP", *PLACES):
                for log in logs if cycle % 2 else logs[::-1]:
                    home = Path(folder) / f"{sink}-{cycle}-{log}"
                    measure(sink, home, options.count, results, log=log)
    return results.report(options.out, cycles=options.cycles, count=options.count)
