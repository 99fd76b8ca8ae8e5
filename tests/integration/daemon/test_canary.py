"""The canary by itself: what a round does to Redis, on every shard, and what it leaves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from rfctl.daemon.canary import Canary
from rfctl.daemon.preflight import Preflight
from rfctl.errors import KeyTakenError
from rfctl.store import Keyspace, Store
from rfctl.store.connection import Connection
from tests.support.least_rights import IS_ASKED_FOR
from tests.support.servers import RedisServer

COMMANDS_A_ROUND = 30
"""A round is cheap: so many calls at most, a script as one of them."""


def make_canary(connection: Connection, keyspace: Keyspace, daemon_id: str = "d") -> Canary:
    store = Store(connection, keyspace)
    return Canary(store, daemon_id, Preflight(store, allow_eviction=False), ["crm"])


OTHER_PREFIX = pytest.param(
    Keyspace(3, "", "staging-"),
    marks=pytest.mark.skipif(IS_ASKED_FOR, reason="the user of the run may use the keys without a prefix"),
)


@pytest.mark.parametrize("keyspace", [Keyspace(), OTHER_PREFIX])
async def test_rounds_go_through_on_each_shard_and_leave_real_keys_alone(
    server: RedisServer, connection: Connection, keyspace: Keyspace
) -> None:
    canary = make_canary(connection, keyspace)
    for _ in range(7):
        assert await canary.run_round() == []
    with server.client() as client:
        clocks = {shard.clock for shard in keyspace.all()}
        others = [key for key in client.scan_iter() if "canary:d:" not in key and key not in clocks]
        assert others == []
        await canary.forget("d")
        assert [key for key in client.scan_iter() if "canary:d:" in key and client.ttl(key) == -1] == []


async def test_keys_of_a_dead_daemons_canary_are_deleted_by_another(
    server: RedisServer, connection: Connection
) -> None:
    await make_canary(connection, Keyspace(), "dead").run_round()
    await make_canary(connection, Keyspace(), "alive").forget("dead")
    with server.client() as client:
        assert [key for key in client.scan_iter() if ":dead:" in key and client.ttl(key) == -1] == []


async def test_round_that_was_broken_off_does_not_break_the_next(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = make_canary(connection, Keyspace())
    await canary.run_round()
    with monkeypatch.context() as patched:
        patched.setattr(canary, "_receive", _break_off)
        with pytest.raises(ZeroDivisionError):
            await canary.run_round()
    await canary.run_round()
    await canary.run_round()


async def _break_off(*_: object) -> None:
    raise ZeroDivisionError


async def test_a_round_is_cheap(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    canary = make_canary(connection, Keyspace())
    await canary.run_round()
    sent: list[object] = []

    def count(execute: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
        def note(*command: object) -> Awaitable[object]:
            sent.append(command)
            return execute(*command)

        return note

    for way, name in ((connection, "_execute"), *((pipe, "execute") for pipe in connection._pipes)):
        monkeypatch.setattr(way, name, count(getattr(way, name)))
    await canary.run_round()
    assert 5 < len(sent) <= COMMANDS_A_ROUND


@pytest.mark.parametrize("number", [0, 1, 2])
async def test_key_of_another_kind_is_found_on_whichever_shard(connection: Connection, number: int) -> None:
    keyspace = Keyspace(3)
    canary = make_canary(connection, keyspace)
    taken = keyspace.all()[number].out
    await connection.call("SET", taken, "another program's")
    problems = []
    for _ in range(3):
        try:
            await canary.run_round()
        except KeyTakenError as problem:
            problems.append(problem.fact)
    assert len(problems) == 1
    assert taken in problems[0]
