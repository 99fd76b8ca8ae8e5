"""A daemon whose log goes nowhere: its reader is gone, its disk is full, or nobody reads. It works on, and it stops."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rfctl.sources.generic.node_form import BATCHED
from tests.support.processes import RFCTL, environment, rfctl, send
from tests.support.servers import RedisServer, pick_port
from tests.support.waiting import PATIENCE_S, wait_until


class DeafDaemon:
    """A daemon whose stderr is this descriptor; one retry of a sink that nobody answers, and a stats line at once."""

    def __init__(self, tmp_path: Path, redis_url: str, stderr: int) -> None:
        self.port = pick_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.variables: dict[str, Any] = {
            "RFCTL_REDIS__URL": redis_url, "RFCTL_HTTP__PORT": str(self.port), "RFCTL_BATCHING__QUIET_MS": "20",
            "RFCTL_DAEMON__STATS_LOG_S": "1", "RFCTL_SINKS__CRM__TYPE": "http",
            "RFCTL_SINKS__CRM__URL": f"http://127.0.0.1:{pick_port()}/", "RFCTL_SINKS__CRM__ALLOW_PRIVATE": "true",
            "RFCTL_SINKS__CRM__RETRY_DELAYS_MS": "10,10", "RFCTL_LOG__LEVEL": "debug",
        }  # fmt: skip
        self._tmp_path = tmp_path
        self.process = subprocess.Popen(
            [RFCTL, "serve"], env=environment(tmp_path, **self.variables), stdin=subprocess.DEVNULL, stderr=stderr,
            process_group=0,
        )  # fmt: skip

    def status_of(self, path: str, body: bytes | None = None) -> int:
        request = urllib.request.Request(self.url + path, body, {"Content-Type": "application/json"})
        try:
            send(request)
        except urllib.error.HTTPError as answer:
            answer.close()
            return answer.code
        except OSError:
            return 0
        return 200

    def stats(self) -> dict[str, Any]:
        done = rfctl(self._tmp_path, "stats", "--json", **self.variables)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)


@pytest.fixture(params=["dead reader", "full disk", "silent reader"])
def stderr(request: pytest.FixtureRequest) -> Iterator[int]:
    if request.param == "full disk":
        if not Path("/dev/full").exists():
            pytest.skip("this system has no /dev/full")
        descriptor = os.open("/dev/full", os.O_WRONLY)
        yield descriptor
        os.close(descriptor)
        return
    reader, writer = os.pipe()
    if request.param == "dead reader":
        os.close(reader)
    else:
        os.set_blocking(writer, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writer, b"x" * 4096)
        os.set_blocking(writer, True)
    yield writer
    os.close(writer)
    if request.param != "dead reader":
        os.close(reader)


@pytest.fixture
def deaf(tmp_path: Path, server: RedisServer, stderr: int) -> Iterator[DeafDaemon]:
    daemon = DeafDaemon(tmp_path, server.url, stderr)
    yield daemon
    with contextlib.suppress(ProcessLookupError):
        os.killpg(daemon.process.pid, signal.SIGKILL)
    daemon.process.wait(PATIENCE_S)


def test_daemon_whose_log_goes_nowhere_works_on_and_stops(deaf: DeafDaemon) -> None:
    wait_until(lambda: deaf.status_of("/readyz") == 200)
    assert deaf.status_of("/nothing") == 404
    assert deaf.status_of("/webhook/none", b"{}") == 404
    assert deaf.status_of(BATCHED, b"no json") == 400
    deaf.process.send_signal(signal.SIGHUP)
    body = {"from": "79001234567", "message": "hi"}
    assert deaf.status_of(BATCHED, json.dumps(body).encode()) == 200
    sink = wait_until(lambda: next((s for s in deaf.stats()["sinks"] if s["dead"] == 1), None))
    assert sink["failures"] >= 2, "each failed attempt is counted, and the sink goes on to the last"
    assert deaf.status_of("/readyz") == 200
    assert deaf.end() == 0
