"""A Redis whose memory is full must still be emptied, also by a daemon that starts only then."""

from __future__ import annotations

from pathlib import Path

from rfctl.model.message import Message
from rfctl.store.address import RedisAddress
from rfctl.store.connection import Connection
from tests.conftest import configure, running
from tests.support.batching import make_rig
from tests.support.receivers import HttpReceiver
from tests.support.servers import ServerMaker
from tests.support.waiting import until


async def test_daemon_that_starts_on_a_full_redis_hands_over_and_delivers(
    own_server: ServerMaker, tmp_path: Path
) -> None:
    server = own_server("--maxmemory-policy", "noeviction")
    connection = Connection.open(RedisAddress(server.url, "the test"))
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
