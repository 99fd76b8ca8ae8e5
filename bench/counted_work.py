"""The work whose instructions are counted: messages and batches through the scripts, and requests through the daemon.

It goes through what rfctl itself calls (`Store`, `Batcher`, `rfctl serve`), with the arguments, keys and bounds that
these pass. So it stays the same work while the parts below change.
"""

from __future__ import annotations

import asyncio
import compileall
import http.client
import json
import os
import signal
import socket
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Self

from bench.callgrind import ROOT, count_instructions
from rfctl.batching import Batcher, BatchingRules, Policy, Timers
from rfctl.model.message import Message
from rfctl.sources.generic.node_form import BATCHED
from rfctl.store import BatchOptions, Keyspace, Store
from rfctl.store.address import RedisAddress
from tests.support.servers import RedisServer, pick_port

READY_S = 300
WARM_UP, WAVE = 100, 64
PHONES = 500
TIMERS, DUE_SOON = Timers(5_000, 10, 60_000), Timers(1, 10, 60_000)
A_BATCH = 3
Work = Callable[[Batcher], Coroutine[Any, Any, None]]


# --- scripts on redis-server


def count_script(work: Work, timers: Timers = TIMERS) -> int:
    """Return the instructions of a redis-server from its start to its end, for this work of a batcher on it."""
    with tempfile.TemporaryDirectory(prefix="rfctl-bench-") as folder:
        path = Path(folder) / "s.sock"
        command = [
            "redis-server", "--port", "0", "--unixsocket", str(path), "--save", "", "--appendonly", "no",
            "--dir", folder, "--hz", "1",
        ]  # fmt: skip
        return count_instructions(command, lambda _pid: asyncio.run(_use_server(path, work, timers)))


async def _use_server(path: Path, work: Work, timers: Timers) -> None:
    await _wait_for(lambda: _is_listening(path), "redis-server")
    address = RedisAddress(f"unix://{path}", "bench", timeout_ms=60_000)
    # Under valgrind all is late: the lines about overdue batches are not part of the work.
    store = Store.open(address, Keyspace(), BatchOptions(overdue_ms=86_400_000))
    try:
        await store.claim_layout()
        await work(Batcher(store, BatchingRules(Policy(timers, ()))))
    finally:
        await store.close()


def _is_listening(path: Path) -> bool:
    """Say whether a server takes connections: its socket is there a moment before."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


async def _wait_for(is_there: Callable[[], bool], name: str) -> None:
    deadline = time.monotonic() + READY_S
    while not is_there():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{name} did not start")
        await asyncio.sleep(0.05)


def add_messages(calls: int, a_call: int) -> Work:
    """Return work that adds messages of many phones, so many in each call."""

    async def work(batcher: Batcher) -> None:
        for call in range(calls):
            numbers = range(call * a_call, (call + 1) * a_call)
            added = await batcher.add([_build_message(number % PHONES, number) for number in numbers])
            assert all(result.added for result in added), "a message was not stored"

    return work


def hand_over_batches(filled: int, handed_over: int, counts: list[int]) -> Work:
    """Return work that adds batches of three messages that are due at once, and hands over some of them or more.

    How many it were goes into `counts`: a call takes as many as it likes.
    """

    async def work(batcher: Batcher) -> None:
        for first in range(0, filled, 10):
            phones = range(first, first + 10)
            await batcher.add(
                [
                    _build_message(phone, phone * A_BATCH + place)
                    for place in range(A_BATCH)
                    for phone in phones
                ]
            )
        await asyncio.sleep(0.05)
        count = 0
        while count < handed_over:
            result = await batcher.hand_over(0, "oldest")
            assert result.messages == result.batches * A_BATCH, "a batch is not whole"
            count += result.batches
        counts.append(count)

    return work


def _build_message(phone: int, number: int) -> Message:
    return Message(
        phone=f"7900{phone:07d}", text="запишите меня", id=f"m{number}", channel="generic", company=962302
    )


# --- the whole intake


def count_intake(*, single: int = 0, waves: int = 0) -> int:
    """Return the instructions of a daemon from its start to its end that takes in one message a request.

    So many come one after another, and so many waves of 64 at once, each on a connection of its own. Redis runs beside
    the daemon, and is not counted.
    """
    compileall.compile_dir(ROOT / "rfctl", quiet=1)  # the first run would compile, and count that
    server = RedisServer("redis-server").start()
    port = pick_port()
    variables = {
        "RFCTL_REDIS__URL": server.url,
        "RFCTL_REDIS__TIMEOUT_MS": "60000",
        "RFCTL_HTTP__PORT": str(port),
        "RFCTL_HTTP__BODY_TIMEOUT_MS": "60000",
        "RFCTL_HTTP__HEADER_TIMEOUT_MS": "60000",
        "RFCTL_BATCHING__QUIET_MS": "3600000",
        "RFCTL_BATCHING__MAX_WAIT_MS": "3600000",
        "RFCTL_DAEMON__STATS_LOG_S": "0",
        "RFCTL_DAEMON__DRAIN": "due",
    }

    def send(pid: int) -> None:
        with Clients(port) as clients:
            clients.send_single(WARM_UP + single)
            for _ in range(1 + waves):
                clients.send_wave(pid)

    try:
        return count_instructions([sys.executable, "-m", "bench.slow_serve"], send, variables=variables)
    finally:
        server.stop()


class Clients:
    """Connections to a daemon that is slow to start."""

    def __init__(self, port: int) -> None:
        _wait_until_serving(port)
        self._connections = [
            http.client.HTTPConnection("127.0.0.1", port, timeout=READY_S) for _ in range(WAVE)
        ]
        self._number = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._connections:
            connection.close()

    def send_single(self, count: int) -> None:
        """Send requests one after another on one connection."""
        for _ in range(count):
            self._send(self._connections[0])
            _check_answer(self._connections[0])

    def send_wave(self, pid: int) -> None:
        """Send a request on each connection while the daemon stands still: so it has all of them at once."""
        for connection in self._connections:
            if connection.sock is None:
                connection.connect()
        os.kill(pid, signal.SIGSTOP)
        try:
            for connection in self._connections:
                self._send(connection)
        finally:
            os.kill(pid, signal.SIGCONT)
        for connection in self._connections:
            _check_answer(connection)

    def _send(self, connection: http.client.HTTPConnection) -> None:
        self._number += 1
        body = {
            "from": f"7900{self._number:07d}", "message": "запишите меня", "messageId": f"m{self._number}",
            "companyId": 962302,
        }  # fmt: skip
        connection.request("POST", BATCHED, json.dumps(body), {"Content-Type": "application/json"})


def _check_answer(connection: http.client.HTTPConnection) -> None:
    answer = connection.getresponse()
    content = answer.read()
    assert answer.status == 200, (answer.status, content)


def _wait_until_serving(port: int) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=READY_S):
                return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError("the daemon does not serve")
