from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers import KINDS
from tests.support.stepped_clock import SteppedServer, compile_shim


@pytest.fixture(scope="session")
def clock_shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that steps a server's clock, compiled once for the run."""
    return compile_shim(tmp_path_factory.mktemp("clock_shim"))


@pytest.fixture
def stepped_server(clock_shim: Path) -> Iterator[SteppedServer]:
    """A running, empty server of this test alone, whose clock the test steps."""
    server = SteppedServer(KINDS[0], clock_shim)
    try:
        server.start()
        yield server
    finally:
        server.stop()
