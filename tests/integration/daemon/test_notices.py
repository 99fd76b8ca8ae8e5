"""What systemd hears of a daemon: the start is over once it is ready, or after a while; the status line is true."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from rfctl.config.environment import Environment
from rfctl.config.loader import Configuration, load
from tests.conftest import running
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

    def hears(self, beginning: str) -> bool:
        """Say whether a line with this beginning has come."""
        while True:
            try:
                self._lines += self._socket.recv(4096).decode().splitlines()
            except BlockingIOError:
                return any(line.startswith(beginning) for line in self._lines)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    listening = Manager(tmp_path / "notify")
    yield listening
    listening.close()


def configure(url: str, tmp_path: Path, manager: Manager) -> Configuration:
    variables = {
        "HOME": str(tmp_path), "RFCTL_REDIS__URL": url, "RFCTL_HTTP__PORT": "0", "NOTIFY_SOCKET": manager.path,
    }  # fmt: skip
    return load(Environment(variables, tmp_path / "none.toml"))


async def test_start_is_over_once_the_daemon_is_ready(
    server: RedisServer, tmp_path: Path, manager: Manager
) -> None:
    async with running(configure(server.url, tmp_path, manager)):
        await until(partial(manager.hears, "READY=1"))
        assert manager.hears("STATUS=ready")
        await until(partial(manager.hears, "WATCHDOG=1"))
    assert manager.hears("STOPPING=1")


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
