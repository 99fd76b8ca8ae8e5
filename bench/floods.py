"""Clients that mean no good: what they send to a daemon, for `python -m bench memory`."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit

from rfctl.sources.generic.node_form import BATCHED

CLIENTS = 1000
BODY_BYTES = 3_000_000
SECONDS = 30
Client = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Coroutine[Any, Any, None]]
Flood = Callable[[str], Coroutine[Any, Any, Counter[str]]]


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


FLOODS: dict[str, tuple[Flood, dict[str, str]]] = {
    "bodies-unfinished": (never_finish, {}),
    "bodies-chunked": (send_chunks, {}),
    "bodies-finished": (finish, {"RFCTL_HTTP__BODY_TIMEOUT_MS": "60000"}),
    "headers-endless": (send_endless_headers, {}),
    "pipelined-unread": (pipeline_unread, {}),
}
"""Name → what to do with a daemon at this URL, and the daemon's variables."""
