"""A client of a real daemon's page: what a browser's script would send, and the events that it would get."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from rfctl.daemon.daemon import Daemon
from rfctl.observe import logging as logs
from tests.conftest import configure, running
from tests.support.servers import RedisServer
from tests.support.waiting import until

PHONE = "79001234567"
SLOW = {"batching__quiet_ms": 600_000, "batching__max_wait_ms": 3_600_000}


def browse(service: Daemon, **headers: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=service.url, trust_env=False, timeout=60, headers=headers)


@contextlib.asynccontextmanager
async def serving(server: RedisServer, tmp_path: Path, **settings: Any) -> AsyncIterator[Daemon]:
    async with running(configure(server.url, tmp_path, **{**SLOW, **settings})) as service:
        await until(lambda: service._components.preflight.passed)
        logs.configure(level="info", format="json", mask=True)
        yield service


@contextlib.asynccontextmanager
async def acting(service: Daemon, **more: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client that acts as the page's script does."""
    async with browse(service, **{"Origin": service.url, **more}) as http:
        http.headers["X-Rfctl-Csrf"] = (await http.get("/page/state")).json()["csrf"]
        yield http


async def send(service: Daemon, *texts: str, phone: str = PHONE) -> None:
    async with browse(service) as http:
        for text in texts:
            answer = await http.post("/webhook/generic", json={"from": phone, "body": text, "id": text})
            assert answer.status_code == 200


async def read_events(stream: httpx.Response) -> AsyncIterator[tuple[str, Any]]:
    """Yield the name and the data of each event."""
    name = ""
    async for line in stream.aiter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


async def wait_for_event(events: AsyncIterator[tuple[str, Any]], name: str) -> Any:
    async with asyncio.timeout(45):
        async for event, data in events:
            if event == name:
                return data
    raise AssertionError(f"the stream ended before {name}")
