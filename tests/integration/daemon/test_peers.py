"""Daemons with different settings on one Redis: what must be the same is refused, what may differ is said."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import structlog

from rfctl.daemon.daemon import Daemon
from rfctl.errors import SettingsConflictError
from rfctl.observe import logging as logs
from rfctl.store import DaemonRecord
from rfctl.store.connection import Connection
from rfctl.store.daemons import FORGET_MS, Daemons
from tests.conftest import configure, running
from tests.support.keys import SHARD
from tests.support.servers import RedisServer
from tests.support.waiting import until

CONFLICTS: dict[str, dict[str, Any]] = {
    "batching.order is sent here and arrival there": {"batching__order": "sent"},
    "batching.split_by is account+company here and empty there": {
        "batching__split_by": '["company","account"]'
    },
}


@pytest.fixture(autouse=True)
def watch_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rfctl.daemon.watch.ROUND_S", 0.1)
    monkeypatch.setattr("rfctl.daemon.watch._LOOK_S", 0.2)


async def list_alive(connection: Connection) -> list[DaemonRecord]:
    return await Daemons(connection, SHARD).list_alive()


@pytest.mark.parametrize("difference", CONFLICTS)
async def test_daemon_refuses_to_start_beside_one_that_it_does_not_go_with(
    server: RedisServer, connection: Connection, tmp_path: Path, difference: str
) -> None:
    async with running(configure(server.url, tmp_path)):
        await until(partial(list_alive, connection))
        with pytest.raises(SettingsConflictError) as problem:
            async with running(configure(server.url, tmp_path, **CONFLICTS[difference])):
                pass
        [first] = await list_alive(connection)
    assert problem.value.exit_status == 78
    assert difference in problem.value.fact
    assert f"the daemon on {first.host}, pid {first.pid}, " in problem.value.fact
    assert "--rollout" in problem.value.next


async def test_rollout_starts_beside_it_and_the_older_goes_on(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    async with running(configure(server.url, tmp_path)) as older:
        await until(partial(list_alive, connection))
        newer = Daemon(configure(server.url, tmp_path, batching__order="sent"), is_rolling_out=True)
        await newer.start()
        try:

            async def are_two() -> bool:
                return len(await list_alive(connection)) == 2

            await until(are_two)
            codes = await find_codes(older)
            assert "settings_conflict" in codes
        finally:
            await newer.stop()


async def find_codes(daemon: Daemon) -> set[str]:
    async with httpx.AsyncClient(base_url=daemon.url, trust_env=False) as http:

        async def is_ready() -> bool:
            answer = (await http.get("/readyz")).json()
            return answer["status"] == "ready" and bool(answer["findings"])

        await until(is_ready)
        return {finding["code"] for finding in (await http.get("/readyz")).json()["findings"]}


async def test_of_two_that_start_at_once_the_younger_ends(
    server: RedisServer, connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither sees the other before it starts."""
    monkeypatch.setattr("rfctl.daemon.preflight.check_peers", lambda *_: None)
    settings: tuple[dict[str, Any], ...] = ({}, {"batching__order": "sent"})
    daemons = [Daemon(configure(server.url, tmp_path, **own)) for own in settings]
    logs.configure(level="error", format="json", mask=True)
    await asyncio.gather(*(daemon.start() for daemon in daemons))
    ends = [asyncio.create_task(daemon.wait_for_stop()) for daemon in daemons]
    done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED, timeout=30)
    assert len(done) == 1
    ended = daemons[ends.index(next(iter(done)))]
    left = next(daemon for daemon in daemons if daemon is not ended)
    with pytest.raises(SettingsConflictError):
        await ended.stop()
    assert [record.id for record in await list_alive(connection)] == [left.id]
    await left.stop()


async def test_reload_that_would_conflict_is_refused(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    def load_other() -> Any:
        return configure(server.url, tmp_path, batching__order="sent")

    plain = configure(server.url, tmp_path)
    async with running(plain), running(plain, load_other) as daemon:

        async def are_two() -> bool:
            return len(await list_alive(connection)) == 2

        await until(are_two)
        with structlog.testing.capture_logs() as lines:
            await daemon.reload()
    [line] = [line for line in lines if line["event"] == "settings_rejected"]
    assert "batching.order is sent here and arrival there" in line["problems"][0]


async def test_reload_of_the_only_daemon_may_change_what_others_would_need(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    def load_other() -> Any:
        return configure(server.url, tmp_path, batching__order="sent")

    async def is_sent() -> bool:
        return [record.order for record in await list_alive(connection)] == ["sent"]

    async with running(configure(server.url, tmp_path), load_other) as daemon:
        await until(partial(list_alive, connection))
        await daemon.reload()
        await until(is_sent)


async def test_other_timers_are_a_finding_and_no_end(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    async with running(configure(server.url, tmp_path)) as daemon:
        await until(partial(list_alive, connection))
        async with running(configure(server.url, tmp_path, batching__quiet_ms=7000)):

            async def differ() -> bool:
                return "settings_differ" in await find_codes(daemon)

            await until(differ)


def record(name: str) -> DaemonRecord:
    return DaemonRecord(id=name, host="h", pid=1, version="0", role="all", output="rfctl:out")


async def test_records_of_the_dead_are_deleted_after_minutes(
    server: RedisServer, connection: Connection
) -> None:
    daemons = Daemons(connection, SHARD)
    written = await daemons.write(record("dead"), age_ms=0)
    await daemons.write(record("alive"), age_ms=0)
    assert await daemons.forget_dead() == []
    old = msgspec.structs.replace(written, beat_ms=written.beat_ms - FORGET_MS - 1)
    await connection.call("HSET", SHARD.common.daemons, "dead", msgspec.json.encode(old))
    assert await daemons.forget_dead() == ["dead"]
    assert await connection.call("HKEYS", SHARD.common.daemons) == [b"alive"]
