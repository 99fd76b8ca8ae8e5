"""Redis behind TLS, with a CA of one's own: the daemon's Redis, and the queues of the sinks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rfctl.assembly.sinks import build_target
from rfctl.errors import RedisUnreachableError
from rfctl.sinks.redis import RedisSink
from rfctl.store.address import RedisAddress
from rfctl.store.connection import Connection
from tests.support.certificates import self_signed
from tests.support.forwarding import deliveries, hand_over
from tests.support.outlets import settings
from tests.support.relays import Relay
from tests.support.servers import RedisServer

QUEUES = {"bullmq": "bull:company-none-messages:wait", "celery": "celery", "rq": "rq:queue:default"}


@pytest.fixture
async def tls_url(server: RedisServer, tmp_path: Path) -> AsyncIterator[str]:
    """The server's URL through TLS, with the CA that vouches for it."""
    certificate, context = self_signed(tmp_path)
    async with Relay(server.port, context) as relay:
        yield f"{relay.url}?ssl_ca_certs={certificate}"


async def test_redis_is_reached_through_tls_with_the_ca_of_the_url(tls_url: str) -> None:
    connection = Connection.open(RedisAddress(tls_url, "the test"))
    await connection.call("SET", "a", 1)
    assert await connection.call("GET", "a") == b"1"
    await connection.close()


async def test_certificate_of_an_unknown_ca_is_rejected_with_the_next_step(tls_url: str) -> None:
    connection = Connection.open(RedisAddress(tls_url.partition("?")[0], "the test"))
    with pytest.raises(RedisUnreachableError, match="certificate verify failed") as problem:
        await connection.call("GET", "a")
    await connection.close()
    assert "ssl_ca_certs=" in problem.value.next


@pytest.mark.parametrize("kind", QUEUES)
async def test_queue_is_reached_through_tls_with_the_ca_of_the_url(
    tls_url: str, connection: Connection, kind: str
) -> None:
    [entry_id] = await hand_over(connection, ("7", "a"))
    target = build_target("bot", settings(kind, url=tls_url), redis_url="redis://127.0.0.1:1/0")
    assert not isinstance(target.sink, RedisSink)
    await target.sink.open()
    await target.sink.deliver((await deliveries(connection).fetch(entry_id)).to_delivery())
    await target.close()
    assert await connection.call("LLEN", QUEUES[kind]) == 1
