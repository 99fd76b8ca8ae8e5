from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import structlog

from rfctl.config.environment import Environment
from rfctl.config.loader import Configuration, load
from rfctl.daemon.daemon import Daemon
from rfctl.observe import logging as logs
from rfctl.store.connection import Connection
from tests.support.least_rights import connecting_with_least_rights
from tests.support.leftovers import leaving_nothing
from tests.support.processes import FORK_SERVER, killing_what_runs
from tests.support.servers import KINDS, RedisServer, ServerMaker, patient_address

hypothesis.settings.register_profile(  # a busy machine draws examples slowly
    "tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tests")


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that runs the tests in the background ignores Ctrl-C, and so would every process that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for kind, mark in (("integration", "real"), ("faults", "real"), ("cli", "command")):
            if f"/tests/{kind}/" in str(item.path):
                item.add_marker(getattr(pytest.mark, mark))


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name packed bytes by their number alone: gzip writes the time into them, and each worker must collect the same."""
    if isinstance(val, bytes) and (len(val) > 60 or not val.isascii()):
        return f"{len(val)}-bytes"
    return None


@pytest.fixture(autouse=True, scope="session")
def run_leaves_nothing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """At the end of the run (of each worker) no process and no temporary file is left; else the last test errs."""
    tmp_path_factory.getbasetemp()  # pytest's own folder stays outside
    with leaving_nothing(), contextlib.closing(FORK_SERVER):
        yield


@pytest.fixture(autouse=True, scope="session")
def bytecode_is_kept_for_the_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Processes of all workers compile our sources once, into pytest's own folder; some machines keep no bytecode."""
    base = tmp_path_factory.getbasetemp()
    folder = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPYCACHEPREFIX", str(folder / "bytecode"))
        patched.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        yield


@pytest.fixture(autouse=True, scope="session")
def user_has_least_rights() -> Iterator[None]:
    """With TEST_REDIS_ACL=1 rfctl's own connections are those of the user that `rfctl export acl` prints."""
    with connecting_with_least_rights():
        yield


@pytest.fixture(autouse=True)
def process_ends_with_its_test() -> Iterator[None]:
    with killing_what_runs():
        yield


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """A log is configured for one test: its stream is that test's own, and is closed with it.

    A library that configures logging turns off the loggers that are there: the next test gets them on again.
    """
    yield
    structlog.reset_defaults()
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.disabled = False


@pytest.fixture(scope="session", params=KINDS)
def session_server(request: pytest.FixtureRequest, run_leaves_nothing: None) -> Iterator[RedisServer]:
    server = RedisServer(request.param)
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def server(session_server: RedisServer) -> Iterator[RedisServer]:
    """A running, empty, real server. The next test gets it with the settings that this one got."""
    before = session_server.read_config()
    session_server.empty()
    yield session_server
    session_server.restore_config(before)


@pytest.fixture
def own_server() -> Iterator[ServerMaker]:
    """A maker of servers that the test may kill."""
    with contextlib.ExitStack() as stops:

        def make(*options: str, **more: Any) -> RedisServer:
            server = RedisServer(KINDS[0], *options, **more)
            stops.callback(server.stop)
            return server.start()

        yield make


@pytest.fixture
async def connection(server: RedisServer) -> AsyncIterator[Connection]:
    opened = Connection.open(patient_address(server.url))
    yield opened
    await opened.close()


def configure(url: str, tmp_path: Path, **settings: Any) -> Configuration:
    """Settings as a user's environment would give them; names with `__`, like the variables."""
    variables = {"HOME": str(tmp_path), "RFCTL_REDIS__URL": url, "RFCTL_HTTP__PORT": "0"}
    variables |= {f"RFCTL_{name.upper()}": str(value) for name, value in settings.items()}
    return load(Environment(variables, tmp_path / "none.toml"))


@contextlib.asynccontextmanager
async def running(
    configuration: Configuration, load: Callable[[], Configuration] | None = None, **more: Any
) -> AsyncIterator[Daemon]:
    """A daemon inside the test's own loop."""
    logs.configure(level="error", format="json", mask=True)
    service = Daemon(configuration, load, **more)
    await service.start()
    try:
        yield service
    finally:
        await service.stop()
