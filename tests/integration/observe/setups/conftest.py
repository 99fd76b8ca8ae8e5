from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.observe.setups.site import Site, opening
from tests.support.servers import RedisServer


@pytest.fixture(autouse=True)
def daemon_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rfctl.daemon.heartbeat.BEAT_S", 0.1)
    monkeypatch.setattr("rfctl.daemon.watch.ROUND_S", 0.5)
    monkeypatch.setattr("rfctl.daemon.watch._LOOK_S", 0.2)


@pytest.fixture
async def site(server: RedisServer, tmp_path: Path) -> AsyncIterator[Site]:
    async with opening(server, tmp_path) as opened:
        yield opened
