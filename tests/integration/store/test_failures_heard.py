"""Whoever opens a store hears of each call that fails, of any part; what is settled or may be refused is no failure."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rfctl.errors import KeyTakenError, RedisUnreachableError, RfctlError, RightsMissingError
from rfctl.store import Keyspace, Store
from rfctl.store.connection import Connection
from tests.support.batching import make_rig
from tests.support.keys import SHARD
from tests.support.servers import RedisServer, patient_address, pick_port

HOUR = 3_600_000


@pytest.fixture
def failures(connection: Connection) -> Iterator[list[RfctlError]]:
    """What a connection reports."""
    reported: list[RfctlError] = []
    connection.on_failure = reported.append
    yield reported


async def test_each_call_that_fails_is_heard_once(connection: Connection, failures: list[RfctlError]) -> None:
    await connection.call("SET", SHARD.due, "somebody's")
    assert failures == []
    with pytest.raises(KeyTakenError) as first:
        await connection.call("ZCARD", SHARD.due)
    with pytest.raises(KeyTakenError) as second:
        await connection.calls([("TIME",), ("ZCARD", SHARD.due)])
    with pytest.raises(KeyTakenError) as third:
        await make_rig(connection).hand_over()
    assert failures == [first.value, second.value, third.value]


async def test_reopened_store_reports_to_the_same_listener() -> None:
    failures: list[RfctlError] = []
    address = patient_address(f"redis://127.0.0.1:{pick_port()}/0")
    store = Store.open(address, Keyspace(), on_failure=failures.append)
    other = store.reopen()
    for each in (store, other):
        with pytest.raises(RedisUnreachableError):
            await each.now_ms()
        await each.close()
    assert len(failures) == 2


async def test_jump_of_the_clock_is_settled_and_no_failure(
    connection: Connection, failures: list[RfctlError]
) -> None:
    seconds, _ = await connection.call("TIME")
    await connection.call("HSET", SHARD.clock, "step", 0, "seen", int(seconds) * 1000 + HOUR)
    await make_rig(connection).hand_over()
    assert int((await connection.call("HGET", SHARD.clock, "step")) or 0) < 0, "it was settled"
    assert failures == []


async def test_what_a_hosted_redis_keeps_to_itself_is_no_failure(
    server: RedisServer, connection: Connection
) -> None:
    rules = ("reset", "on", ">pw", "~*", "&*", "+@all", "-info", "-config")
    await connection.call("ACL", "SETUSER", "limited", *rules)
    failures: list[RfctlError] = []
    address = patient_address(server.url.replace("//", "//limited:pw@"))
    limited = Connection.open(address, on_failure=failures.append)
    try:
        await limited.read_server_info()
        await limited.read_write_refusals()
        assert failures == []
        with pytest.raises(RightsMissingError):
            await limited.call("INFO")
        assert len(failures) == 1
    finally:
        await limited.close()
