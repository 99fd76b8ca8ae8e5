"""How much memory the daemon needs at most under clients that mean no good: python bench/memory.py [SCENARIO …]

Each scenario runs one daemon process on a server of its own, and clients in this process on loopback. It ends by
itself. The table has VmHWM of the daemon: the most that it ever held. The bar is 150 MB. Another scenario is another
function in SCENARIOS.
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
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[1]))

import uvicorn

from rfctl import __version__
from rfctl.sources.generic.node_form import BATCHED
from tests.support.processes import Daemon
from tests.support.servers import RedisServer

CLIENTS = 1000
BODY_BYTES = 3_000_000
SECONDS = 30
BAR_MB = 150
Client = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Coroutine[Any, Any, None]]
Scenario = Callable[[str], Coroutine[Any, Any, Counter[str]]]


def read_peak_mb(pid: int) -> float:
    """Return the most memory that a process ever held, MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


async def run_clients(url: str, client: Client, count: int = CLIENTS) -> Counter[str]:
    """Run so many clients side by side, and count what they were answered."""
    address, answers = urlsplit(url), Counter[str]()

    async def run(number: int) -> None:
        outcome = "closed"
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            try:
                async with asyncio.timeout(SECONDS):
                    sending = asyncio.create_task(client(reader, writer, number))
                    outcome = (await reader.readuntil(b"\r\n"))[9:12].decode()
                    with contextlib.suppress(OSError):
                        await sending
            finally:
                sending.cancel()
                writer.transport.abort()
        answers[outcome] += 1

    await asyncio.gather(*(run(number) for number in range(count)))
    return answers


def build_head(length: int) -> bytes:
    """Return the header of a request with a body of this length."""
    return (
        f"POST {BATCHED} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


async def never_finish(url: str) -> Counter[str]:
    """Send all of a body but its last byte."""

    async def client(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _number: int) -> None:
        writer.write(build_head(BODY_BYTES))
        for _ in range(0, BODY_BYTES - 1, 50_000):
            writer.write(b"x" * 49_999)
            await writer.drain()
        await asyncio.sleep(SECONDS)

    return await run_clients(url, client)


async def send_chunks(url: str) -> Counter[str]:
    """Send chunk after chunk of a body without a length, which never ends."""

    async def client(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _number: int) -> None:
        writer.write(build_head(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked"))
        for _ in range(0, BODY_BYTES - 1, 50_000):
            writer.write(b"c350\r\n" + b"x" * 50_000 + b"\r\n")
            await writer.drain()
        await asyncio.sleep(SECONDS)

    return await run_clients(url, client)


async def finish(url: str) -> Counter[str]:
    """Send whole bodies of a hundred messages, which are stored where there is room."""
    text = "x" * 30_000

    async def client(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        message = f'{{"from":"{number:04d}","messageId":"{number:04d}-00","body":"{text}"}}'.encode()
        size = len(message)
        writer.write(build_head(len(b'{"messages":[') + 99 * size + 98 + len(b"]}")) + b'{"messages":[')
        for place in range(99):
            writer.write(message.replace(b'-00"', b'-%02d"' % place, 1) + (b"," if place < 98 else b"]}"))
            await writer.drain()
            await asyncio.sleep(0)

    return await run_clients(url, client)


async def send_endless_headers(url: str) -> Counter[str]:
    """Send a header that never ends: half of the clients many fields, the others a single long value."""

    async def client(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ")
        while True:
            writer.write(b"a\r\nX:" * 200 if number % 2 else b"a" * 1000)
            await writer.drain()
            await asyncio.sleep(0.001)

    return await run_clients(url, client)


async def pipeline_unread(url: str) -> Counter[str]:
    """Send 4 MB of requests, and read no answer. Meanwhile another client must be served."""
    address, answers = urlsplit(url), Counter[str]()
    flood = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1000

    async def client() -> None:
        with contextlib.suppress(OSError, TimeoutError):
            reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=1)
            try:
                async with asyncio.timeout(SECONDS):
                    for _ in range(4_000_000 // len(flood)):
                        writer.write(flood)
                        await writer.drain()
                    await asyncio.sleep(SECONDS)
            finally:
                writer.transport.abort()
                del reader
        answers["ended"] += 1

    flooding = asyncio.gather(*(client() for _ in range(CLIENTS)))
    probe = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROBE, str(address.hostname), str(address.port), str(SECONDS - 5),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    slowest, _ = await probe.communicate()
    await flooding
    answers[f"others waited at most {slowest.decode().strip()} ms"] = 1
    return answers


PROBE = """
import http.client, sys, time
slowest, end = 0.0, time.monotonic() + float(sys.argv[3])
while time.monotonic() < end:
    began = time.monotonic()
    connection = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=30)
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 200
    connection.close()
    slowest = max(slowest, time.monotonic() - began)
    time.sleep(0.1)
print(round(slowest * 1000))
"""
"""A client of its own process: this process is busy with the flood."""


SCENARIOS: dict[str, tuple[Scenario, dict[str, str]]] = {
    "bodies-unfinished": (never_finish, {}),
    "bodies-chunked": (send_chunks, {}),
    "bodies-finished": (finish, {"RFCTL_HTTP__BODY_TIMEOUT_MS": "60000"}),
    "headers-endless": (send_endless_headers, {}),
    "pipelined-unread": (pipeline_unread, {}),
}
"""Name → what to do with a daemon at this URL, and the daemon's variables."""


def measure(name: str) -> float:
    """Run a scenario, print its line, and return the peak in MB."""
    scenario, variables = SCENARIOS[name]
    server = RedisServer("embedded").start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            root = str(Path(__file__).parents[1])
            fixed = {"RFCTL_REDIS__URL": server.url, "PYTHONPATH": root}
            daemon = Daemon(Path(folder), **fixed, **variables)
            try:
                base = read_peak_mb(daemon.pid)
                began = time.monotonic()
                answers = asyncio.run(scenario(daemon.url))
                peak, took = read_peak_mb(daemon.pid), time.monotonic() - began
            finally:
                daemon.end()
    finally:
        server.stop()
    outcome = ", ".join(f"{what}: {count}" for what, count in sorted(answers.items()))
    print(f"{name:20} {base:8.0f} {peak:8.0f} {took:6.0f}  {outcome}", flush=True)
    return peak


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
