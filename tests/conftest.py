from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from rfctl.config.environment import Environment
from rfctl.config.loader import Configuration, load
from rfctl.daemon.daemon import Daemon
from rfctl.observe import logging as logs
from rfctl.store.connection import Connection, RedisAddress
from tests.support.servers import KINDS, RedisServer


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for kind, mark in (("integration", "real"), ("cli", "command")):
            if f"/tests/{kind}/" in str(item.path):
                item.add_marker(getattr(pytest.mark, mark))


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """A log is configured for one test: its stream is that test's own, and is closed with it."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session", params=KINDS)
def session_server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    server = RedisServer(request.param).start()
    yield server
    server.stop()


@pytest.fixture
async def server(session_server: RedisServer) -> AsyncIterator[RedisServer]:
    """A running, empty, real server."""
    connection = Connection.open(RedisAddress(session_server.url, "the test"))
    await connection.call("FLUSHALL")
    await connection.close()
    yield session_server


@pytest.fixture
def own_server(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A maker of servers that the test may kill."""
    made: list[RedisServer] = []

    def make(*extra: str, **more: Any) -> RedisServer:
        made.append(RedisServer(KINDS[0], *extra, **more))
        return made[-1].start()

    yield make
    for server in made:
        server.stop()


@pytest.fixture
async def connection(server: RedisServer) -> AsyncIterator[Connection]:
    opened = Connection.open(RedisAddress(server.url, "the test"))
    yield opened
    await opened.close()


def configure(url: str, tmp_path: Path, **settings: Any) -> Configuration:
    """Settings as a user's environment would give them; names with `__`, like the variables."""
    variables = {"HOME": str(tmp_path), "RFCTL_REDIS__URL": url, "RFCTL_HTTP__PORT": "0"}
    variables |= {f"RFCTL_{name.upper()}": str(value) for name, value in settings.items()}
    return load(Environment(variables, tmp_path / "none.toml"))


@contextlib.asynccontextmanager
async def running(
    configuration: Configuration, load: Callable[[], Configuration] | None = None
) -> AsyncIterator[Daemon]:
    """A daemon inside the test's own loop."""
    logs.configure(level="error", format="json", mask=True)
    service = Daemon(configuration, load)
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


RFCTL = shutil.which("rfctl", path=str(Path(sys.executable).parent)) or "rfctl"


def environment(tmp_path: Path, **variables: str) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("RFCTL_", "REDIS_", "XDG_"))
    }
    kept |= {"HOME": str(tmp_path), "PYTHONWARNINGS": "default", "COLUMNS": "120", "TERM": "dumb"}
    return kept | variables


def rfctl(
    tmp_path: Path, *line: str, timeout: float = 30, **variables: Any
) -> subprocess.CompletedProcess[str]:
    """Run the installed command."""
    return subprocess.run(
        [RFCTL, *line], env=environment(tmp_path, **variables), capture_output=True, text=True, timeout=timeout,
        stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
