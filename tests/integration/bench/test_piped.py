"""The limits of a duel are what rfctl itself sends: recorded calls do the same work again on an empty Redis."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from bench.handover import record_hand_over
from bench.piped import RawConnection, pack, record_adds, replay
from rfctl.store.connection import Connection
from tests.support.batching import make_rig
from tests.support.servers import RedisServer

pytestmark = pytest.mark.real
MESSAGES, A_CALL, PHONES = 24, 6, 8


def send(server: RedisServer, commands: list[list[bytes]], on_wire: int) -> list[object]:
    """Return the answers to commands on a connection of their own."""
    with contextlib.closing(RawConnection.open(server)) as connection:
        return replay(connection, [pack(command) for command in commands], on_wire)[1]


async def test_recorded_adds_store_every_message_again(server: RedisServer, connection: Connection) -> None:
    commands = await record_adds(server, MESSAGES, A_CALL, PHONES)
    assert len(commands) == MESSAGES / A_CALL
    server.empty()
    answers = await asyncio.to_thread(send, server, commands, 2)
    sizes = [size for answer in answers if isinstance(answer, list) for size in answer[::2]]
    assert len(sizes) == MESSAGES
    assert min(sizes) > 0, "a message was not stored: it was seen before, or is rejected"
    assert (await make_rig(connection).store.pending_counts()).messages == MESSAGES


async def test_recorded_hand_over_takes_what_is_due(server: RedisServer, connection: Connection) -> None:
    command = await record_hand_over(server)
    server.empty()
    await record_adds(server, MESSAGES, A_CALL, PHONES)
    shard = make_rig(connection).shards[0]
    for place in range(PHONES):
        await connection.call("ZADD", shard.due, 1, f"7900{place:07d}")
    batches = 0
    for answer in await asyncio.to_thread(send, server, [command] * PHONES, 4):
        assert isinstance(answer, list)
        batches += answer[0]
    assert batches == PHONES
    assert await connection.call("XLEN", shard.out) == PHONES
