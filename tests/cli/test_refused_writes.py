"""A Redis that refuses writes, to an operator who looks: the cause comes first, and nobody is called dead for it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from rfctl.errors import RedisCannotNowError
from rfctl.store.connection import Connection
from rfctl.store.daemons import FORGET_MS
from tests.support.keys import COMMON, SHARD
from tests.support.processes import rfctl
from tests.support.servers import RedisServer, ServerMaker, patient_address
from tests.support.waiting import until

CRM: dict[str, Any] = {"RFCTL_SINKS__CRM__TYPE": "stdout"}


@pytest.fixture
def server(own_server: ServerMaker) -> RedisServer:
    return own_server("--min-replicas-max-lag", "1")


@pytest.fixture
async def connection(server: RedisServer) -> AsyncIterator[Connection]:
    opened = Connection.open(patient_address(server.url))
    yield opened
    await opened.close()


async def full(connection: Connection, _: RedisServer) -> None:
    await connection.call("CONFIG", "SET", "maxmemory", 1)


async def replica(connection: Connection, _: RedisServer) -> None:
    await connection.call("REPLICAOF", "127.0.0.1", 1)


async def unsaved(connection: Connection, server: RedisServer) -> None:
    """A folder stands where the snapshot is to go: no disk could be less writable, also to root."""
    (server.folder / "dump.rdb").mkdir()
    await connection.call("CONFIG", "SET", "save", "3600 1")
    await connection.call("BGSAVE")

    async def failed() -> bool:
        return b"rdb_last_bgsave_status:err" in await connection.call("INFO", "persistence")

    await until(failed)


async def alone(connection: Connection, _: RedisServer) -> None:
    await connection.call("CONFIG", "SET", "min-replicas-to-write", 1)


Break = Callable[[Connection, RedisServer], Awaitable[None]]


@pytest.mark.parametrize(
    ("breaks", "code", "why"),
    [
        (full, "OOM", "its memory is full"),
        (replica, "READONLY", "it is a replica of 127.0.0.1:1"),
        (unsaved, "MISCONF", "its last save to disk (RDB) failed"),
        (alone, "NOREPLICAS", "0 of the 1 replicas"),
    ],
)
async def test_stats_names_why_writes_are_refused_and_calls_nobody_dead(
    server: RedisServer, connection: Connection, tmp_path: Path, breaks: Break, code: str, why: str
) -> None:
    await breaks(connection, server)
    with pytest.raises(RedisCannotNowError) as problem:
        await connection.call("SET", "x", "y")
    table = rfctl(tmp_path, "stats", "--redis", server.url, **CRM)
    assert table.returncode == 0, table.stderr
    first, *rest = [line for line in table.stdout.splitlines() if line.startswith(("✖", "▲"))]
    assert first.startswith("✖ FAILING")
    assert rest[0].startswith(f"✖ FAIL Redis refuses writes: {why}")
    assert "cannot tell which daemons are alive" in "".join(rest)
    data = json.loads(rfctl(tmp_path, "stats", "-o", "json", "--redis", server.url, **CRM).stdout)
    [refusal] = data["redis"]["refuses_writes"]
    assert (refusal["code"], refusal["next"]) == (code, problem.value.next)
    assert data["findings"][0]["fact"].startswith(f"Redis refuses writes: {why}")
    for wrong in ("no processor", "nobody delivers"):
        assert wrong not in table.stdout + str(data["findings"])


async def test_an_error_of_several_commands_has_the_name_of_its_cause_and_no_phone(
    server: RedisServer, connection: Connection
) -> None:
    await alone(connection, server)
    with pytest.raises(RedisCannotNowError, match="Not enough good replicas") as problem:
        await connection.calls([("GET", "x"), ("SET", "last-msg:79001234567", "1")])
    assert "79001234567" not in problem.value.fact


async def test_stats_writes_nothing_and_so_shows_a_replica_with_a_long_dead_daemon(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    now = await connection.now_ms(SHARD) - FORGET_MS - 60_000
    line = {"id": "old", "host": "h", "pid": 1, "version": "0", "role": "all", "beat_ms": now}
    await connection.call("HSET", COMMON.daemons, "old", json.dumps(line))
    await replica(connection, server)
    seen = rfctl(tmp_path, "stats", "--redis", server.url)
    assert seen.returncode == 0, seen.stderr


async def test_writable_redis_has_no_refusal(server: RedisServer, tmp_path: Path) -> None:
    data = json.loads(rfctl(tmp_path, "stats", "-o", "json", "--redis", server.url, **CRM).stdout)
    assert data["redis"]["refuses_writes"] == []
    assert [finding["code"] for finding in data["findings"]] == ["processor_missing", "sink_unserved"]
