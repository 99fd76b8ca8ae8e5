"""What is old or too much in quarantine is removed, the oldest first, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from rfctl.errors import RightsMissingError
from rfctl.model.message import Unparsed
from rfctl.observe import logging as logs
from rfctl.store import Store
from rfctl.store.connection import Connection
from rfctl.store.quarantine import Quarantine
from tests.conftest import configure, running
from tests.support.batching import make_rig
from tests.support.keys import COMMON
from tests.support.servers import RedisServer
from tests.support.waiting import until

DAY_MS = 86_400_000


@pytest.fixture
def quarantine(connection: Connection) -> Quarantine:
    return Quarantine(connection, COMMON)


async def fill(connection: Connection, *ids: str, size: int = 1) -> None:
    for entry_id in ids:
        body = b"x" * size
        await connection.call(
            "XADD", COMMON.quarantine, entry_id, "source", "s", "type", "waha", "why", "w", "body", body
        )


async def list_ids(quarantine: Quarantine) -> list[str]:
    return [head.id async for head in quarantine.iterate()]


async def test_old_requests_are_removed_and_young_ones_stay(
    connection: Connection, quarantine: Quarantine
) -> None:
    await fill(connection, "1000-0", "1000-1", f"{DAY_MS + 999}-0", f"{DAY_MS + 1000}-0")
    now_ms = 2 * DAY_MS + 1000
    assert await quarantine.trim(retention_s=0, max_bytes=0, now_ms=now_ms) == 0, "0 is no limit"
    assert await quarantine.trim(retention_s=86_400, max_bytes=0, now_ms=now_ms) == 3
    assert await list_ids(quarantine) == [f"{DAY_MS + 1000}-0"]


@pytest.mark.parametrize("is_measured", [True, False])
async def test_oldest_requests_beyond_the_bytes_are_removed(
    connection: Connection, quarantine: Quarantine, monkeypatch: pytest.MonkeyPatch, *, is_measured: bool
) -> None:
    await fill(connection, *(f"{number}-0" for number in range(1, 121)), size=10_000)
    send = connection.call

    async def refuse_to_measure(*command: Any) -> Any:
        if command[0] == "MEMORY":
            raise RightsMissingError("no")
        return await send(*command)

    if not is_measured:
        monkeypatch.setattr(connection, "call", refuse_to_measure)
    removed = await quarantine.trim(retention_s=0, max_bytes=500_000, now_ms=DAY_MS)
    left = await list_ids(quarantine)
    assert len(left) + removed == 120
    assert 40 <= len(left) <= 50
    assert left[-1] == "120-0"
    assert await quarantine.trim(retention_s=0, max_bytes=10_000_000, now_ms=DAY_MS) == 0


async def test_quarantine_that_is_empty_has_nothing_to_trim(quarantine: Quarantine) -> None:
    assert await quarantine.trim(retention_s=1, max_bytes=1, now_ms=DAY_MS) == 0
    await quarantine.add("s", "waha", [Unparsed(b"x", "w")])
    assert await quarantine.count() == 1


async def test_daemon_trims_the_quarantine_counts_it_and_says_so(
    server: RedisServer, connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rfctl.daemon.components._TRIM_EVERY_S", 0.02)
    store: Store = make_rig(connection).store

    async def is_counted() -> bool:
        return (await store.pending()).totals.get("quarantine_trimmed") == 2

    async with running(configure(server.url, tmp_path, quarantine__retention_s=3600)):
        logs.configure(level="debug", format="json", mask=True)
        with capture_logs() as lines:
            await fill(connection, "1000-0", "1000-1")
            await store.quarantine.add("s", "waha", [Unparsed(b"young", "w")])
            await until(is_counted)
    reports = [line for line in lines if line["event"] == "quarantine_trimmed"]
    assert (sum(line["requests"] for line in reports), {line["log_level"] for line in reports}) == (
        2,
        {"warning"},
    )
    assert await store.quarantine.count() == 1
