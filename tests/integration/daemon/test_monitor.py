"""The listener for whoever watches a daemon: in any role, with nothing of the webhook on it."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import pytest

from rfctl.daemon.daemon import Daemon
from rfctl.daemon.listener import bind_socket
from rfctl.errors import ListenError, SettingsError
from tests.conftest import configure, running
from tests.support.servers import RedisServer
from tests.support.waiting import until

FREE = "127.0.0.1:0"


async def ask(url: str, path: str, **more: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as http:
        return await http.get(path, headers=more)


@pytest.mark.parametrize("role", ["processor", "forwarder", "webhook"])
async def test_daemon_of_any_role_answers_who_watches_it(
    server: RedisServer, tmp_path: Path, role: str
) -> None:
    async with running(configure(server.url, tmp_path, daemon__role=role, daemon__monitor=FREE)) as service:
        url = service.monitor_url
        assert url not in ("", service.url)
        assert (await ask(url, "/healthz")).json() == {"status": "ok"}
        # Alone it is not ready, since nobody does the rest: the daemon says so, and of whom.
        await until(lambda: service._components.preflight.passed)
        assert (await ask(url, "/readyz")).json()["redis"] == service._store.address.shown()
        page = (await ask(url, "/metrics")).text
        assert f'role="{role}"' in page
        assert "rfctl_redis_up 1.0" in page
    with pytest.raises(httpx.ConnectError):
        await ask(url, "/healthz")


async def test_nothing_of_the_webhook_is_on_it(server: RedisServer, tmp_path: Path) -> None:
    async with running(configure(server.url, tmp_path, daemon__monitor=FREE)) as service:
        for path in ("/webhook/generic", "/webhook/whatsapp/batched/stats", "/webhook/whatsapp/batched"):
            assert (await ask(service.monitor_url, path)).status_code == 404
        async with httpx.AsyncClient(base_url=service.monitor_url, trust_env=False) as http:
            body = {"from": "79001234567", "body": "hi", "id": "1"}
            assert (await http.post("/webhook/generic", json=body)).status_code == 404
            assert (await http.delete("/webhook/whatsapp/batched/79001234567")).status_code == 404
        assert (await service._store.pending()).batches == 0
        assert (await ask(service.url, "/metrics")).status_code == 200, "the webhook has its own as before"


async def test_stranger_needs_the_token_there_too(server: RedisServer, tmp_path: Path) -> None:
    settings = configure(server.url, tmp_path, daemon__monitor=FREE, http__metrics_token="see")
    async with running(settings) as service:
        stranger = {"X-Forwarded-For": "203.0.113.9"}
        assert (await ask(service.monitor_url, "/metrics", **stranger)).status_code == 401
        stranger["Authorization"] = "Bearer see"
        assert (await ask(service.monitor_url, "/metrics", **stranger)).status_code == 200


async def test_address_that_is_taken_names_the_setting_and_leaves_nothing_bound(
    server: RedisServer, tmp_path: Path
) -> None:
    with bind_socket("127.0.0.1", 0) as taken, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        monitor = f"127.0.0.1:{taken.getsockname()[1]}"
        service = Daemon(configure(server.url, tmp_path, http__port=port, daemon__monitor=monitor))
        with pytest.raises(ListenError) as caught:
            await service.start()
        assert monitor in caught.value.fact
        assert "daemon.monitor" in caught.value.next
        bind_socket("127.0.0.1", port).close()


@pytest.mark.parametrize("value", ["9464", ":9464", "127.0.0.1", "127.0.0.1:65536", "unix:/run/x", "a b:1"])
def test_monitor_without_address_and_port_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        configure("redis://127.0.0.1/0", tmp_path, daemon__monitor=value)
    assert "127.0.0.1:9464" in caught.value.problems[0]


@pytest.mark.parametrize("value", ["", "127.0.0.1:9464", "[::1]:9464", "prod-1.internal:0"])
def test_address_with_a_port_is_one(tmp_path: Path, value: str) -> None:
    settings = configure("redis://127.0.0.1/0", tmp_path, daemon__monitor=value).settings
    assert settings.daemon.monitor == value
