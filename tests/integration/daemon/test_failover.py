"""A failover behind one address: the old master has become a replica, and our sockets still lead to it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from rfctl.errors import RedisCannotNowError
from rfctl.store.connection import Connection
from tests.conftest import configure, running
from tests.support.receivers import HttpReceiver
from tests.support.relays import Relay
from tests.support.servers import RedisServer, ServerMaker, patient_address
from tests.support.waiting import PATIENCE_S, until

POST = "/webhook/whatsapp/batched"


async def fail_over(relay: Relay, old: RedisServer, new: RedisServer) -> None:
    for server, master in ((new, ("NO", "ONE")), (old, ("127.0.0.1", new.port))):
        connection = Connection.open(patient_address(server.url))
        await connection.call("REPLICAOF", *master)
        await connection.close()
    relay.port = new.port


async def test_address_is_resolved_again_after_a_replica_rejected_a_write(own_server: ServerMaker) -> None:
    old, new = own_server(), own_server()
    async with Relay(old.port) as relay:
        connection = Connection.open(patient_address(relay.url))
        await connection.call("SET", "a", 1)
        await fail_over(relay, old, new)
        with pytest.raises(RedisCannotNowError, match="replica"):
            await connection.call("SET", "b", 1)
        await connection.call("SET", "b", 1)
        assert (await connection.call("ROLE"))[0] == b"master"
        await connection.close()


async def test_daemon_continues_at_the_new_master_and_loses_nothing(
    own_server: ServerMaker, tmp_path: Path
) -> None:
    old, new = own_server(), own_server()
    replica = Connection.open(patient_address(new.url))
    await replica.call("REPLICAOF", "127.0.0.1", old.port)

    async def replicated() -> bool:
        return bool((await replica.call("ROLE"))[3] == b"connected")

    await until(replicated)
    first = Connection.open(patient_address(old.url))
    async with Relay(old.port) as relay, HttpReceiver() as receiver:
        sink = {
            "sinks__crm__type": "http",
            "sinks__crm__url": receiver.url,
            "sinks__crm__allow_private": True,
        }
        configuration = configure(relay.url, tmp_path, batching__quiet_ms=100, **sink)
        async with (
            running(configuration) as service,
            httpx.AsyncClient(base_url=service.url, trust_env=False) as http,
        ):

            async def send(text: str) -> bool:
                body = {"from": "7", "message": text, "messageId": text}
                return (await http.post(POST, json=body, timeout=PATIENCE_S)).status_code == 200

            assert await send("before")
            await until(lambda: first.call("HGET", "rfctl:totals", "sink:crm:delivered"))
            await first.call("SET", "behind-all", 1)
            assert await first.call("WAIT", 1, 10_000) == 1, "what was acknowledged is at the replica"
            await fail_over(relay, old, new)
            await until(lambda: send("after"))
            await until(lambda: len(receiver.taken) == 2)
    assert [request["body"]["message"] for request in receiver.taken] == ["before", "after"]
    await first.close()
    await replica.close()
