"""A socket that Redis resets between redis-py's look at it and a write: each event loop says so in its own way, and we say the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import uvloop
from redis.asyncio.connection import AbstractConnection

from rfctl.errors import RedisUnreachableError
from rfctl.store.connection import Connection
from tests.support.servers import RedisServer, patient_address

pytestmark = pytest.mark.real


async def call_after_a_reset(server: RedisServer, *, grouped: bool) -> None:
    connection = Connection.open(patient_address(server.url))
    try:
        await connection.call("PING")
        pool = connection._client.connection_pool
        look_at = pool.ensure_connection

        async def reset_behind_the_look(idle: AbstractConnection) -> None:
            await look_at(idle)
            pool.ensure_connection = look_at  # type: ignore[method-assign]
            assert idle._writer is not None
            idle._writer.transport.abort()
            for _ in range(3):  # the loop lets the socket go in a later turn
                await asyncio.sleep(0)

        pool.ensure_connection = reset_behind_the_look  # type: ignore[assignment]
        with pytest.raises(RedisUnreachableError):
            await (connection.calls([("PING",)]) if grouped else connection.call("PING"))
        assert await connection.call("PING") == b"PONG"
    finally:
        await connection.close()


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_socket_that_is_reset_fails_a_call_in_our_words(
    server: RedisServer, make_loop: Callable[[], asyncio.AbstractEventLoop], *, grouped: bool
) -> None:
    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(call_after_a_reset(server, grouped=grouped))
