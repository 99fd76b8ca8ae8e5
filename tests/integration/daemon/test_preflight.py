"""What a daemon says while it waits for a Redis that it may use."""

from __future__ import annotations

import asyncio

import structlog

from rfctl.daemon.preflight import Preflight
from rfctl.errors import RedisUnreachableError
from rfctl.store import Keyspace, Store
from rfctl.store.connection import Connection, RedisAddress
from tests.support.waiting import until


async def test_a_redis_that_is_back_and_refuses_our_password_is_told_once(own_server):
    server = own_server("--requirepass", "other")
    connection = Connection.open(RedisAddress(server.url, "the test"))
    vetting = Preflight(Store(connection, Keyspace()), allow_eviction=False)
    stopping = asyncio.Event()
    away = RedisUnreachableError("nothing answers", next="start it")
    with structlog.testing.capture_logs() as told:
        waiting = asyncio.create_task(vetting.check_until_passed(stopping, away))
        await until(lambda: len(told) == 2)
        await asyncio.sleep(0.5)
        owner = Connection.open(RedisAddress(server.url.replace("//", "//:other@"), "the test"))
        await owner.call("CONFIG", "SET", "requirepass", "")
        await waiting
        await owner.close()
    await connection.close()
    assert vetting.passed
    events = [(one["event"], one.get("problem", "").partition(" ")[0]) for one in told]
    assert events[:2] == [("redis_unavailable", "nothing"), ("redis_unavailable", "Redis")]
    assert "password" in told[1]["next"]
    assert [one["event"] for one in told if one["event"] != "persistence_disabled"][2:] == [
        "redis_connected",
        "redis_recovered",
    ]
