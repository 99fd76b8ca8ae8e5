"""How many merged messages a second one `rfctl serve` delivers: python bench/forwarding.py [list stream http bullmq]

Each run has a server of its own (AOF always), and a daemon with one sink that delivers 64 at once. The messages are in
the output stream when it starts. The rate goes from the first delivery to the last, as Redis counts them. Afterwards all
that has come is read, and the order within each batch key is checked: a wrong order, or a message too few, fails the run.
The CPU of daemon, Redis and receiver is from /proc. It ends by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httptools

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from rfctl.model.message import Message
from rfctl.store.address import RedisAddress
from rfctl.store.connection import Connection
from rfctl.store.keys import ShardKeys
from tests.support.batching import make_rig
from tests.support.parents import tie_to_parent
from tests.support.servers import RedisServer, pick_port

KINDS = ("list", "stream", "http", "bullmq")
PEOPLE, TEXT = 1_000, "hello, a table for two please"
BOUND_S = 120
_TICKS = os.sysconf("SC_CLK_TCK")
_KEY = "bot"

Came = list[tuple[str, str]]
"""Phone and text of each message at the receiver, in the order in which they came."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run: messages a second, and µs of CPU a message of the daemon, of Redis and of the receiver."""

    kind: str
    rate: float
    cpu_us: dict[str, float] = field(default_factory=dict)


class Receiver(asyncio.Protocol):
    """Answers each POST with 200 as soon as it is whole, and notes whose message it was."""

    came: Came = []  # noqa: RUF012 - of all connections

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._body = b""

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        message = json.loads(self._body)
        self.came.append((message["from"], message["message"]))
        self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")


async def receive() -> None:
    """Serve until SIGTERM, then print what has come as JSON."""
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    server = await loop.create_server(Receiver, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await stopping.wait()
    json.dump(Receiver.came, sys.stdout)


@contextlib.contextmanager
def process(*command: str, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process until the end of the block; it ends with this one too."""
    running = subprocess.Popen(tie_to_parent(command), env={**os.environ, "PYTHONPATH": str(ROOT)}, **more)
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(20)
        finally:
            running.kill()


@contextlib.contextmanager
def receiver(kind: str) -> Iterator[tuple[int, list[int], Came]]:
    """Give the port of an HTTP receiver, its process id, and a list that has what came once the block has ended."""
    came: Came = []
    if kind != "http":
        yield 0, [], came
        return
    with process(sys.executable, __file__, "receive", stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        yield int(running.stdout.readline()), [running.pid], came
        running.terminate()
        came += [(phone, text) for phone, text in json.load(running.stdout)]


def settings(kind: str, port: int, parallel: int) -> str:
    """Return the settings of the sink."""
    places = {
        "list": f'key = "{_KEY}"',
        "stream": f'key = "{_KEY}"',
        "http": f'url = "http://127.0.0.1:{port}/"\nallow_private = true\nsecrets = ["whsec_{"c2VjcmV0" * 4}"]',
        "bullmq": f'queue = "{_KEY}"',
    }
    return f'[sinks.bot]\ntype = "{kind}"\nconcurrency = {parallel}\n{places[kind]}\n'


@contextlib.asynccontextmanager
async def empty_server(kind: str) -> AsyncIterator[tuple[RedisServer, Connection]]:
    """Run a server of its own until the end of the block."""
    server = RedisServer(kind).start()
    connection = Connection.open(RedisAddress(server.url, "bench"))
    try:
        yield server, connection
    finally:
        await connection.close()
        server.stop()


async def prepare(connection: Connection, count: int) -> None:
    """Put merged messages into the output stream, some of each person; the text of each is its number."""
    batches = make_rig(connection, max_size=1)
    for start in range(0, count, 500):
        numbers = range(start, min(start + 500, count))
        await batches.add(
            [
                Message(phone=f"7900{n % PEOPLE:07d}", text=f"{n:09d} {TEXT}", id=f"{n}", channel="generic")
                for n in numbers
            ]
        )


async def follow(connection: Connection, count: int, daemon: subprocess.Popen[bytes]) -> float:
    """Return how many messages a second were delivered, from the first one on."""
    totals, began, first = ShardKeys("", "").totals, 0.0, 0
    while True:
        delivered = int(await connection.call("HGET", totals, "sink:bot:delivered") or 0)
        now = time.monotonic()
        assert daemon.poll() is None, "the daemon has ended"
        if delivered and not began:
            began, first = now, delivered
        if delivered >= count:
            return (count - first) / (now - began)
        await asyncio.sleep(0.005)


async def read_came(kind: str, connection: Connection) -> Came:
    """Return what is in the list, the stream or the queue."""
    if kind == "list":
        bodies = [json.loads(raw) for raw in await connection.call("LRANGE", _KEY, 0, -1)]
    elif kind == "bullmq":
        ids = (await connection.call("LRANGE", f"bull:{_KEY}:wait", 0, -1))[::-1]
        jobs = await connection.calls([("HGET", f"bull:{_KEY}:{job.decode()}", "data") for job in ids])
        bodies = [json.loads(raw) for raw in jobs]
    else:
        entries = [flat for _, flat in await connection.call("XRANGE", _KEY, "-", "+")]
        fields = [dict(zip(flat[::2], flat[1::2], strict=True)) for flat in entries]
        return [(entry[b"phone"].decode(), entry[b"text"].decode()) for entry in fields]
    return [(body["from"], body["message"]) for body in bodies]


def check(came: Came, count: int) -> None:
    """Raise AssertionError unless every message came once, and each person's in their order."""
    texts: dict[str, list[str]] = defaultdict(list)
    for phone, text in came:
        texts[phone].append(text)
    assert len(came) == count, f"{len(came)} messages came, and not {count}"
    wrong = [phone for phone, own in texts.items() if own != sorted(set(own))]
    assert not wrong, f"the order of {len(wrong)} people is wrong, as of {wrong[0]}"


def cpu_seconds(pids: Sequence[int]) -> float:
    """Return the CPU time of these processes so far."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


async def measure(kind: str, server_kind: str, count: int, parallel: int) -> Run:
    """Deliver so many messages to one kind of sink."""
    with tempfile.TemporaryDirectory(prefix="rfctl-bench-") as folder, receiver(kind) as (port, its, came):
        async with empty_server(server_kind) as (server, connection):
            await prepare(connection, count)
            file = Path(folder) / "rfctl.toml"
            sources = '[sources.any]\ntype = "generic"\nsecrets = ["a secret of the bench"]\n'
            head = f'redis.url = "{server.url}"\nhttp.port = {pick_port()}\n'
            file.write_text(head + sources + settings(kind, port, parallel))
            assert server.process is not None
            command = (sys.executable, "-m", "rfctl", "serve", "--config", str(file))
            with (
                (Path(folder) / "log").open("wb") as log,
                process(*command, cwd=folder, stderr=log) as daemon,
            ):
                pids = {"daemon": [daemon.pid], "redis": [server.process.pid], "receiver": its}
                before = {name: cpu_seconds(ids) for name, ids in pids.items() if name != "daemon"}
                rate = await follow(connection, count, daemon)
                cpu = {name: cpu_seconds(ids) - before.get(name, 0.0) for name, ids in pids.items()}
            if kind != "http":
                came.extend(await read_came(kind, connection))
    check(came, count)
    return Run(kind, rate, {name: seconds * 1e6 / count for name, seconds in cpu.items()})


async def measure_all(options: argparse.Namespace) -> dict[str, list[Run]]:
    """Make the runs in turn: each cycle has all kinds."""
    runs: dict[str, list[Run]] = {kind: [] for kind in options.kinds}
    for _ in range(options.cycles):
        for kind in options.kinds:
            async with asyncio.timeout(BOUND_S):
                runs[kind].append(await measure(kind, options.server, options.messages, options.parallel))
    return runs


def show(runs: dict[str, list[Run]]) -> None:
    """Print the medians."""
    print(
        f"{'sink':8}{'messages/s':>12}{'least':>8}{'most':>8}   CPU µs a message: daemon (with its start), Redis, receiver"
    )
    for kind, of_kind in runs.items():
        rates = [run.rate for run in of_kind]
        cpu = [
            statistics.median(run.cpu_us[name] for run in of_kind) for name in ("daemon", "redis", "receiver")
        ]
        figures = f"{statistics.median(rates):12.0f}{min(rates):8.0f}{max(rates):8.0f}"
        print(f"{kind:8}{figures}   {', '.join(f'{us:.0f}' for us in cpu)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("kinds", nargs="*", help="of list, stream, http, bullmq; all by default")
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--parallel", type=int, default=64)
    parser.add_argument("--cycles", type=int, default=1)
    parser.add_argument("--server", default="embedded", help="embedded or redis-server")
    parser.add_argument("--json", type=Path, help="write all runs there")
    options = parser.parse_args()
    options.kinds = options.kinds or list(KINDS)
    if options.kinds == ["receive"]:
        asyncio.run(receive())
        return
    if wrong := set(options.kinds).difference(KINDS):
        parser.error(f"no such kind: {', '.join(sorted(wrong))}; there are {', '.join(KINDS)}")
    runs = asyncio.run(measure_all(options))
    show(runs)
    if options.json:
        rows = [
            {"kind": run.kind, "rate": run.rate, "cpu_us": run.cpu_us} for of in runs.values() for run in of
        ]
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
