"""However a sink behaves, the daemon ends when a signal asks it to, and loses nothing."""

from __future__ import annotations

import http.client
import json
import os
import signal
import sys
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from rfctl.sources.generic.node_form import BATCHED
from tests.support.processes import Daemon, environment, rfctl, run, send
from tests.support.servers import RedisServer, ServerMaker, pick_port
from tests.support.waiting import PATIENCE_S, wait_until

STUBBORN = """
import asyncio

class Stubborn:
    def __init__(self, profile): ...
    async def open(self): ...
    async def close(self): ...
    async def deliver(self, delivery):
        while True:
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                pass

class Blocking(Stubborn):
    async def deliver(self, delivery):
        import threading, time
        threading.Thread(target=time.sleep, args=(600,)).start()
        await asyncio.sleep(600)
"""


@pytest.mark.parametrize("kind", ["stubborn", "blocking"])
def test_sink_that_ignores_cancellation_does_not_delay_the_stop(
    server: RedisServer, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "sinks_of_others.py").write_text(STUBBORN)
    package = tmp_path / "others-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1\n")
    (package / "entry_points.txt").write_text(
        "[rfctl.sinks]\nstubborn = sinks_of_others:Stubborn\nblocking = sinks_of_others:Blocking\n"
    )
    settings = tmp_path / "c.toml"
    settings.write_text(f'[sinks.x]\ntype = "{kind}"\n')
    variables: dict[str, Any] = {
        "RFCTL_REDIS__URL": server.url,
        "RFCTL_BATCHING__QUIET_MS": "20",
        "PYTHONPATH": str(tmp_path),
    }
    daemon = Daemon(tmp_path, "--config", str(settings), **variables)
    daemon.post({"from": "7", "message": "kept"})
    wait_until(lambda: _is_on_its_way(server))
    assert daemon.end() == 0
    assert daemon.find_event("threads_abandoned")
    seen = rfctl(tmp_path, "stats", "--json", "--config", str(settings), **variables)
    [sink] = json.loads(seen.stdout)["sinks"]
    assert (sink["unacknowledged"], sink["delivered"]) == (1, 0)


def test_thread_that_has_nothing_to_do_is_not_called_abandoned(server: RedisServer, tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, "--redis", server.url)
    with urllib.request.urlopen(f"{daemon.url}/metrics", timeout=PATIENCE_S) as answer:
        assert b"rfctl_redis_up" in answer.read(), "the library was imported in a thread"
    assert daemon.end() == 0
    events = [line["event"] for line in daemon.lines]
    assert "daemon_stopped" in events
    assert "threads_abandoned" not in events


def test_daemon_stops_while_redis_hangs(own_server: ServerMaker, tmp_path: Path) -> None:
    server = own_server()
    daemon = Daemon(tmp_path, "--redis", server.url)
    daemon.post({"from": "7", "message": "kept"})
    server.send_signal(signal.SIGSTOP)
    try:
        assert daemon.end() == 0
        assert daemon.find_event("daemon_stopping")
    finally:
        server.send_signal(signal.SIGCONT)
    assert "kept" in rfctl(tmp_path, "inspect", "7", "--redis", server.url).stdout


def test_embedded_daemon_stops_while_its_server_hangs(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, "--embedded", RFCTL_REDIS__EMBEDDED_PORT=str(pick_port()))
    daemon.post({"from": "7", "message": "kept"})
    server = daemon.find_event("embedded_server_started")["pid"]
    os.kill(server, signal.SIGSTOP)
    assert daemon.end() == 0
    wait_until(lambda: not Path(f"/proc/{server}").exists())


HANGS = """
import asyncio, contextlib, time
from rfctl.daemon.exit_limit import limit_exit

async def never_ends():
    limit_exit(0.05, status=7)
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            {wait}

asyncio.run(never_ends())
"""


@pytest.mark.parametrize("wait", ["time.sleep(600)", "await asyncio.sleep(600)"])
def test_process_ends_in_time_whatever_its_loop_hangs_on(tmp_path: Path, wait: str) -> None:
    command = [sys.executable, "-c", HANGS.format(wait=wait)]
    assert run(command, environment(tmp_path)).returncode == 7


def _is_on_its_way(server: RedisServer) -> bool:
    """Say whether the sink was handed the message."""
    with server.client() as client:
        return client.exists("rfctl:out") == 1 and any(
            group["pending"] for group in client.xinfo_groups("rfctl:out")
        )


def test_request_in_hand_is_answered_503_when_redis_hangs_and_the_stop_does_not_wait_for_it(
    own_server: ServerMaker, tmp_path: Path
) -> None:
    server = own_server()
    daemon = Daemon(tmp_path, RFCTL_REDIS__URL=server.url, RFCTL_REDIS__TIMEOUT_MS="60000")
    daemon.post({"from": "7", "message": "before"})
    server.send_signal(signal.SIGSTOP)
    try:
        address = urlsplit(daemon.url)
        connection = http.client.HTTPConnection(
            str(address.hostname), int(address.port or 0), timeout=PATIENCE_S
        )
        body = json.dumps({"from": "7", "message": "during"})
        connection.request("POST", BATCHED, body, {"Content-Type": "application/json"})
        send(urllib.request.Request(daemon.url + "/healthz"))  # came later: so the other is in hand
        daemon.send_signal(signal.SIGTERM)
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        connection.close()
        assert daemon.wait() == 0
    finally:
        server.send_signal(signal.SIGCONT)
    assert all(line["event"] for line in daemon.lines)
