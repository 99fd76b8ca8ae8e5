"""What a daemon logs while it waits for a Redis that it may use."""

from __future__ import annotations

import asyncio

import pytest
import structlog

from rfctl.daemon.preflight import Preflight
from rfctl.errors import RedisUnreachableError
from rfctl.store import Keyspace, Store
from rfctl.store.connection import Connection
from tests.support.least_rights import IS_ASKED_FOR
from tests.support.servers import ServerMaker, patient_address
from tests.support.waiting import until


class CountingPreflight(Preflight):
    checks = 0

    async def check(self) -> None:
        self.checks += 1
        await super().check()


async def test_redis_that_rejects_our_password_is_logged_once(own_server: ServerMaker) -> None:
    if IS_ASKED_FOR:
        pytest.skip("it is about a password of its own, and not about TEST_REDIS_ACL's user")
    server = own_server("--requirepass", "other")
    connection = Connection.open(patient_address(server.url))
    preflight = CountingPreflight(Store(connection, Keyspace()), allow_eviction=False)
    stopping = asyncio.Event()
    unreachable = RedisUnreachableError("nothing answers", next="start it")
    with structlog.testing.capture_logs() as lines:
        check = asyncio.create_task(preflight.check_until_passed(stopping, unreachable))
        await until(lambda: preflight.checks == 3)
        owner = Connection.open(patient_address(server.url.replace("//", "//:other@")))
        await owner.call("CONFIG", "SET", "requirepass", "")
        await check
        await owner.close()
    await connection.close()
    assert preflight.passed
    events = [(line["event"], line.get("problem", "").partition(" ")[0]) for line in lines]
    assert events[:2] == [("redis_unavailable", "nothing"), ("redis_unavailable", "Redis")]
    assert "password" in lines[1]["next"]
    assert [line["event"] for line in lines if line["event"] != "persistence_disabled"][2:] == [
        "redis_connected",
        "redis_recovered",
    ]
