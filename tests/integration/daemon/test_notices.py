"""What systemd hears of a daemon: the start is over once it is ready, or after a while; the status line is true."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from rfctl.config.environment import Environment
from rfctl.config.loader import Configuration, load
from rfctl.daemon.systemd import Notifier, telling_failures
from rfctl.errors import RedisUnreachableError, RfctlError, SettingsError
from rfctl.model.message import Message
from tests.conftest import running
from tests.support.processes import rfctl
from tests.support.servers import RedisServer, ServerMaker
from tests.support.waiting import until


class Manager:
    """The socket on which systemd listens, and what came on it."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._lines: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.setblocking(False)

    def read(self) -> list[str]:
        """Return all lines that have come."""
        while True:
            try:
                self._lines += self._socket.recv(4096).decode().splitlines()
            except BlockingIOError:
                return self._lines

    def forget(self) -> None:
        """Forget what has come so far."""
        self.read().clear()

    def hears(self, beginning: str) -> bool:
        """Say whether a line with this beginning has come."""
        return any(line.startswith(beginning) for line in self.read())

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    listening = Manager(tmp_path / "notify")
    yield listening
    listening.close()


def configure(url: str, tmp_path: Path, manager: Manager, **more: str) -> Configuration:
    variables = {
        "HOME": str(tmp_path), "RFCTL_REDIS__URL": url, "RFCTL_HTTP__PORT": "0", "NOTIFY_SOCKET": manager.path, **more,
    }  # fmt: skip
    return load(Environment(variables, tmp_path / "none.toml"))


async def test_start_is_over_once_the_daemon_is_ready(
    server: RedisServer, tmp_path: Path, manager: Manager
) -> None:
    async with running(configure(server.url, tmp_path, manager)) as daemon:
        await until(partial(manager.hears, "READY=1"))
        assert manager.hears(f"STATUS=ready, listens on {daemon.url}")
        await until(partial(manager.hears, "WATCHDOG=1"))
    lines = [line for line in manager.read() if line != "WATCHDOG=1"]
    assert lines[-3:] == [
        "STOPPING=1", "STATUS=stopping: it answers what is in hand, and hands over", "EXTEND_TIMEOUT_USEC=4800000",
    ]  # fmt: skip


async def test_start_is_not_over_at_once_while_redis_is_away(
    own_server: ServerMaker, tmp_path: Path, manager: Manager
) -> None:
    server = own_server()
    server.kill()
    async with running(configure(server.url, tmp_path, manager)):
        await until(partial(manager.hears, "STATUS=not ready: Redis at "))
        assert not manager.hears("READY=1")
        await until(partial(manager.hears, "WATCHDOG=1"))
        server.start()
        await until(partial(manager.hears, "READY=1"))
        assert manager.hears("STATUS=ready")


async def test_start_does_not_hang_while_redis_stays_away(
    own_server: ServerMaker, tmp_path: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rfctl.daemon.watch._SYSTEMD_WAITS_S", 0.2)
    server = own_server()
    server.kill()
    async with running(configure(server.url, tmp_path, manager)):
        await until(partial(manager.hears, "READY=1"))
        assert manager.hears("STATUS=not ready: Redis at ")
        assert not manager.hears("STATUS=ready")


async def test_reload_is_told_from_its_begin_to_its_end(
    server: RedisServer, tmp_path: Path, manager: Manager
) -> None:
    """systemd waits for the end; a refused reload ends too, and its reason stays in the status until another succeeds."""
    good = configure(server.url, tmp_path, manager)
    wrong = "batching.quiet_ms: is wrong (c.toml:1)"
    answers: list[SettingsError | Configuration] = [SettingsError([wrong]), good]

    def load_next() -> Configuration:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with running(good, load_next) as daemon:
        await until(partial(manager.hears, "READY=1"))
        status = f"STATUS=ready, listens on {daemon.url}"
        for expected in (f"{status}; the last reload was refused, the old settings stay: {wrong}", status):
            before_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            manager.forget()
            await daemon.reload()
            lines = [line for line in manager.read() if line != "WATCHDOG=1"]
            assert [lines[0], *lines[2:]] == ["RELOADING=1", "READY=1", expected]
            assert int(lines[1].removeprefix("MONOTONIC_USEC=")) >= before_us
    assert not answers


async def test_reload_does_not_end_a_start(own_server: ServerMaker, tmp_path: Path, manager: Manager) -> None:
    server = own_server()
    server.kill()
    configuration = configure(server.url, tmp_path, manager)
    async with running(configuration, lambda: configuration) as daemon:
        await until(partial(manager.hears, "STATUS=not ready: Redis at "))
        manager.forget()
        await daemon.reload()
        assert not manager.hears("READY=1")
        assert not manager.hears("RELOADING=1")


async def test_start_asks_for_time_as_long_as_it_goes_on(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To take the data of an earlier version along may take longer than systemd waits."""
    monkeypatch.setattr("rfctl.daemon.systemd._EXTEND_EVERY_S", 0.01)
    async with Notifier({"NOTIFY_SOCKET": manager.path}).extending_start():
        await until(lambda: manager.read().count("EXTEND_TIMEOUT_USEC=60000000") > 2)


def test_start_that_is_refused_says_why(tmp_path: Path, manager: Manager) -> None:
    """`systemctl status` has it in one line, also between the lines of many tries."""
    done = rfctl(tmp_path, "serve", NOTIFY_SOCKET=manager.path, RFCTL_BATCHING__MAX_SIZE="0")
    assert done.returncode == 78
    assert manager.hears("STATUS=failed: batching.max_size: "), manager.read()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = rfctl(tmp_path, "serve", "--port", port, NOTIFY_SOCKET=manager.path)
    assert done.returncode == 75
    assert manager.hears(f"STATUS=failed: cannot listen on 127.0.0.1:{port}: "), manager.read()
    assert not manager.hears("READY=1")


def test_failure_is_told_without_a_password(manager: Manager) -> None:
    with pytest.raises(RfctlError), telling_failures({"NOTIFY_SOCKET": manager.path}):
        raise RfctlError("no answer from redis://me:geheim@h:1/0")
    assert manager.read() == ["STATUS=failed: no answer from redis://me:•••@h:1/0"]


@pytest.mark.parametrize("role", ["all", "webhook", "processor", "forwarder"])
async def test_each_role_feeds_the_watchdog(
    server: RedisServer, tmp_path: Path, manager: Manager, role: str
) -> None:
    async with running(configure(server.url, tmp_path, manager, RFCTL_DAEMON__ROLE=role)):
        await until(lambda: manager.read().count("WATCHDOG=1") > 1)


STUCK = {
    "forwarders": ("forwarder", "rfctl.delivery.forwarder.Forwarder.step"),
    "intake": ("webhook", "rfctl.batching.batcher.Batcher.add"),
    "heartbeat": ("webhook", "rfctl.daemon.heartbeat.Heartbeat._write_record"),
    "forwarders of a processor": ("all", "rfctl.delivery.forwarder.Forwarder.step"),
}


@pytest.mark.parametrize("case", STUCK)
async def test_loop_that_is_stuck_stops_the_feeding(
    server: RedisServer, tmp_path: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    """All other loops go on, and hide nothing."""
    role, method = STUCK[case]
    gate = asyncio.Event()

    async def hang(*_: Any) -> Any:
        await gate.wait()
        raise RedisUnreachableError("it hung")

    monkeypatch.setattr("rfctl.daemon.loops._STUCK_S", 0.5)
    monkeypatch.setattr("rfctl.daemon.loops._CALLS_OF_A_TURN", 0)
    monkeypatch.setattr("rfctl.daemon.heartbeat.BEAT_S", 0.1)
    monkeypatch.setattr("rfctl.daemon.readiness._NOTIFY_EVERY_S", 0.0)
    sink = {"RFCTL_SINKS__BOT__TYPE": "list", "RFCTL_SINKS__BOT__KEY": "bot"}
    configuration = configure(
        server.url, tmp_path, manager, RFCTL_DAEMON__ROLE=role, RFCTL_DAEMON__MAX_SLEEP_MS="100", **sink
    )
    async with running(configuration) as daemon:
        await until(partial(manager.hears, "WATCHDOG=1"))
        with capture_logs() as lines, monkeypatch.context() as stuck:
            stuck.setattr(method, hang)
            if case == "intake":
                commit = daemon._components.receiver.group_commit
                commit.submit([Message(phone="7", text="x", id="1", channel="generic")], lambda _: None)
            name = case.partition(" ")[0]
            await until(lambda: name in daemon._readiness.loops.find_stuck())
            await until(lambda: [line for line in lines if line["event"] == "loop_stuck"])
            manager.forget()
            asked = daemon._readiness._notified_at
            await until(lambda: daemon._readiness._notified_at > asked + 0.3)
            assert not manager.hears("WATCHDOG=1")
            gate.set()
        await until(partial(manager.hears, "WATCHDOG=1"))
