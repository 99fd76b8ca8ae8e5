"""Counts instructions a request through a connection of the HTTP server: python -m bench intake-protocol

From the bytes read to the bytes written: the socket is a fake, and the store answers at once. So the count is that of
the server's own way: parser, receiver, source, group commit and answer. Start-up is taken off by a second, shorter run.

    python -m bench intake-protocol                # needs valgrind; one source without a secret, one message a request
    python -m bench intake-protocol take-in 5000   # only runs, for a profiler
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import uvicorn
from uvicorn.server import ServerState

from rfctl.assembly.sources import build_sources
from rfctl.config.environment import Environment
from rfctl.config.loader import load
from rfctl.daemon.http_bounds import Limits
from rfctl.daemon.http_hot import make_protocol
from rfctl.ingest import GroupCommit, Receiver, Webhook
from rfctl.model.message import Message
from rfctl.model.stored import Added

WARM_UP, REQUESTS, CONNECTIONS = 192, 1_024, 64


class Transport(asyncio.Transport):
    """A socket whose client takes everything; `answers` counts the writes that begin an answer of 200."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 5), "sockname": ("127.0.0.1", 80)})
        self.answers = 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def write(self, data: Any) -> None:
        self.answers += data.startswith(b"HTTP/1.1 200 ")

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def close(self) -> None: ...

    def abort(self) -> None: ...


class Counters:
    """Counters that nobody reads."""

    def add(self, counts: Any) -> None: ...

    def mark(self, name: str) -> None: ...


async def store(messages: Sequence[Message]) -> list[Added]:
    """Take every message at once."""
    return [Added(message.phone, added=True, size=1, due_in_ms=5000) for message in messages]


def build_request(number: int) -> bytes:
    """Return the bytes of one request with one message."""
    message = {
        "from": f"7900{number % 10_000:07d}",
        "message": "запишите меня",
        "messageId": f"m{number}",
        "companyId": 962302,
    }
    body = json.dumps(message).encode()
    head = f"POST /webhook/whatsapp/batched HTTP/1.1\r\nHost: 127.0.0.1:3000\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def connect() -> list[Any]:
    """Return connections of one server, the receiver behind them with the settings of a daemon without any."""
    settings = load(Environment({"HOME": "/nonexistent"}, Path("/nonexistent/config.toml"))).settings
    nothing: Any = Counters()
    receiver = Receiver(build_sources(settings), GroupCommit(store), nothing, nothing)
    app = Webhook(receiver, nothing, lambda: ("", {})).create_app()
    kind = make_protocol(Limits(), receiver.rejections.record, receiver)
    config = uvicorn.Config(app, http=kind, ws="none", lifespan="off", log_config=None, access_log=False)
    config.load()
    state = ServerState()
    connections = [kind(config=config, server_state=state, app_state={}) for _ in range(CONNECTIONS)]
    for connection in connections:
        connection.connection_made(Transport())
    return connections


async def take_in(requests: int) -> None:
    """Send so many requests, on each connection one after another, and wait for their answers."""
    connections = connect()
    began, number = time.process_time(), 0
    while number < requests:
        for connection in connections:
            data = build_request(number)
            connection.get_buffer(-1)[: len(data)] = data
            connection.buffer_updated(len(data))
            number += 1
        while sum(connection.transport.answers for connection in connections) < number:
            await asyncio.sleep(0)
    print(f"{(time.process_time() - began) / number * 1e6:.1f} µs a request, with the making of it")
    for connection in connections:
        connection.connection_lost(None)


def count(requests: int) -> int:
    """Return the instructions of a process that takes so many requests in."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "valgrind",
            "--tool=callgrind",
            f"--callgrind-out-file={folder}/out",
            sys.executable,
            __file__,
        ]
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": "/nonexistent",
        }
        process = subprocess.run(
            [*command, "take-in", str(requests)],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    match = re.search(r"Collected : (\d+)", process.stderr)
    if match is None or process.returncode:
        raise SystemExit(f"callgrind counted nothing:\n{process.stderr[-2000:]}")
    return int(match[1])


def main() -> int:
    """Count, or only run so many requests. Returns the exit status."""
    if sys.argv[1:2] == ["take-in"]:
        asyncio.run(take_in(int(sys.argv[2])))
    else:
        per_request = (count(WARM_UP + REQUESTS) - count(WARM_UP)) / REQUESTS
        print(f"intake by the protocol: {per_request:,.0f} instructions a request of one message")
    return 0


if __name__ == "__main__":
    sys.exit(main())
