"""A daemon on a Unix socket: who connects is often a proxy, so nothing counts as this machine."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from rfctl.daemon.daemon import Daemon
from rfctl.errors import SettingsError
from rfctl.simulation import Client
from rfctl.sources.generic.node_form import BATCHED
from rfctl.store.connection import Connection
from tests.conftest import configure, running
from tests.support.batching import make_rig
from tests.support.processes import rfctl
from tests.support.servers import RedisServer


async def test_socket_serves_signed_requests_and_bearers_only_and_is_removed(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    path = tmp_path / "http.sock"
    settings = configure(
        server.url,
        tmp_path,
        http__host=f"unix:{path}",
        http__socket_mode="0600",
        sources__generic__secrets="s",
    )
    transport = httpx.AsyncHTTPTransport(uds=str(path))
    async with (
        running(settings) as service,
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as http,
    ):
        assert service.url == f"unix:{path}"
        assert path.stat().st_mode & 0o777 == 0o600
        assert (await http.get("/healthz")).status_code == 200
        assert (await http.post(BATCHED, json={"from": "7", "message": "x"})).status_code == 401
        refused = await http.get(BATCHED + "/stats")
        assert (refused.status_code, "a Unix socket" in refused.json()["error"]) == (401, True)
        assert [record.listener for record in await service._store.daemons.list_alive()] in (
            [],
            [service.url],
        )
        await Client(service.url, "s").send("7", "signed", "1")
        batch = await make_rig(connection).batches.peek("7")
        assert batch is not None
    assert not path.exists()


async def test_source_without_secrets_is_refused_on_a_unix_socket(
    server: RedisServer, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError) as problem:
        await Daemon(configure(server.url, tmp_path, http__host=f"unix:{tmp_path}/http.sock")).start()
    assert "it has no secrets" in problem.value.problems[0]


async def test_simulate_reaches_a_daemon_on_a_unix_socket(server: RedisServer, tmp_path: Path) -> None:
    quick = {"batching__quiet_ms": 100, "batching__max_wait_ms": 1000, "sources__generic__secrets": "s"}
    settings = configure(server.url, tmp_path, http__host=f"unix:{tmp_path}/http.sock", **quick)
    variables: dict[str, Any] = {f"RFCTL_{name.upper()}": str(value) for name, value in quick.items()}
    async with running(settings) as service:
        heartbeat = service._heartbeat
        assert heartbeat is not None
        await heartbeat._write_record()
        done = await asyncio.to_thread(
            rfctl, tmp_path, "simulate", "--count", "2", "--interval", "0", "-o", "json",
            RFCTL_REDIS__URL=server.url, **variables,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["received"] == 2
    assert "via webhook" in done.stderr
