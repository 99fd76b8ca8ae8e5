"""A Redis whose memory is full must still be emptied, also by a daemon that starts only then."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from rfctl.model.message import Message
from rfctl.store.connection import Connection
from tests.conftest import configure, running
from tests.support.batching import make_rig
from tests.support.receivers import HttpReceiver
from tests.support.servers import ServerMaker, patient_address
from tests.support.waiting import until

SOME = 60


async def test_daemon_that_starts_on_a_full_redis_hands_over_and_delivers(
    own_server: ServerMaker, tmp_path: Path
) -> None:
    server = own_server("--maxmemory-policy", "noeviction")
    connection = Connection.open(patient_address(server.url))
    async with HttpReceiver() as receiver:
        sink = {
            "sinks__crm__type": "http",
            "sinks__crm__url": receiver.url,
            "sinks__crm__allow_private": True,
        }
        configuration = configure(server.url, tmp_path, batching__quiet_ms=50, **sink)
        async with running(configuration):
            pass  # the first start of all needs memory: it lays Redis out
        messages = [Message(phone=f"7{n}", text=f"{n}", id=f"{n}", channel="generic") for n in range(20)]
        batches = make_rig(connection, quiet_ms=50)
        await batches.add(messages[:10])
        await batches.drain("flush")
        await batches.add(messages[10:])
        await connection.call("CONFIG", "SET", "maxmemory", 1)
        async with running(configuration):
            await until(lambda: len(receiver.taken) == 20)
    assert {request["body"]["message"] for request in receiver.taken} == {f"{n}" for n in range(20)}
    await connection.close()


@pytest.mark.parametrize("kind", ["http", "list"])
async def test_receiver_that_was_down_while_redis_filled_up_is_served_without_a_restart(
    own_server: ServerMaker, tmp_path: Path, kind: str
) -> None:
    server = own_server("--maxmemory-policy", "noeviction")
    connection = Connection.open(patient_address(server.url))
    is_up = False
    async with HttpReceiver(lambda _: 200 if is_up else 503) as receiver:
        sink = {"sinks__crm__type": kind, "sinks__crm__retry_delays_ms": ",".join(["300"] * 90)}
        if kind == "http":
            sink |= {"sinks__crm__url": receiver.url, "sinks__crm__allow_private": "true"}
        else:
            sink["sinks__crm__key"] = "inbox"
            await connection.call("SET", "inbox", "in the way")

        async def served() -> int:
            if kind == "http":
                return len(receiver.taken)
            is_there = await connection.call("TYPE", "inbox") == b"list"
            return int(await connection.call("LLEN", "inbox")) if is_there else 0

        async def all_waiting() -> bool:
            return bool(await connection.call("ZCARD", "rfctl:sink:crm:retry") >= SOME)

        configuration = configure(server.url, tmp_path, batching__quiet_ms=50, **sink)
        async with running(configuration):
            await until(lambda: connection.call("EXISTS", "rfctl:sink:crm:lease"))
            batches = make_rig(connection, quiet_ms=50)
            messages = [
                Message(phone=f"7{n}", text=f"{n}", id=f"{n}", channel="generic") for n in range(SOME)
            ]
            await batches.add(messages)
            await connection.call("CONFIG", "SET", "maxmemory", 1)
            await until(all_waiting)
            is_up = True
            if kind == "list":
                await connection.call("DEL", "inbox")
            await until(lambda: _is(served, SOME))
        assert await served() == SOME
    await connection.close()


async def _is(count: Callable[[], Awaitable[int]], wanted: int) -> bool:
    return await count() >= wanted
