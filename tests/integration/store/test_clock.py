"""Batches while the clock of Redis jumps, under two daemons, on a real server.

A server's clock cannot be moved here. Where the step between it and the steady clock is changed behind the daemons'
backs, they see the same: the time is another than it must be.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

from rfctl.model.message import Message
from rfctl.store import replies
from rfctl.store.clock import ServerClock
from rfctl.store.connection import Connection
from tests.support.batching import Rig, make_rig
from tests.support.keys import SHARD
from tests.support.servers import RedisServer, patient_address

JUMPS_S = [3600, -3600, 86_400, -86_400, 50, -50]
WAIT_MS = 20_000


class Times:
    """The clocks of the server and of the daemons' host."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._moved_s = 0.0

    def read_host(self) -> float:
        return time.monotonic() + self._moved_s

    async def jump(self, seconds: float) -> None:
        """Move the server's clock alone."""
        await self._connection.call("HINCRBY", SHARD.clock, "step", round(-seconds * 1000))

    async def pass_s(self, seconds: float) -> None:
        """Let time pass, for all."""
        self._moved_s += seconds
        await self.jump(seconds)

    async def step_ms(self) -> int:
        return replies.integer(await self._connection.call("HGET", SHARD.clock, "step"))


@pytest.fixture
def times(connection: Connection) -> Times:
    return Times(connection)


@pytest.fixture
async def daemons(server: RedisServer, times: Times) -> AsyncIterator[list[Rig]]:
    """Two daemons, each with a clock of its own, which have seen the time."""
    address = patient_address(server.url)
    opened = [Connection.open(address, clock=ServerClock(times.read_host)) for _ in range(2)]
    rigs = [make_rig(connection, quiet_ms=WAIT_MS, max_wait_ms=600_000) for connection in opened]
    for rig in rigs:
        await rig.store.now_ms()
        await rig.hand_over()
    yield rigs
    for connection in opened:
        await connection.close()


async def say(rig: Rig, text: str, phone: str = "7") -> bool:
    [added] = await rig.add([Message(phone=phone, text=text, id=text, channel="generic")])
    return added.added


async def remaining_ms(rig: Rig, batch_key: str = "7") -> int:
    batch = await rig.batches.peek(batch_key)
    assert batch is not None
    assert batch.due_ms is not None
    return batch.due_ms - batch.now_ms


@pytest.mark.parametrize("jump_s", JUMPS_S)
async def test_open_batch_keeps_its_remaining_wait_over_a_jump(
    daemons: list[Rig], times: Times, jump_s: int
) -> None:
    first, second = daemons
    await say(first, "a")
    await times.jump(jump_s)
    for rig in daemons:
        answer = await rig.hand_over()
        assert (answer.batches, answer.clamped) == (0, 0)
        assert 0 < await remaining_ms(rig) <= WAIT_MS + 1000
    await times.pass_s(WAIT_MS / 1000 + 1)
    assert (await second.hand_over()).batches == 1
    [merged] = await first.collect()
    assert (merged.text, merged.reason) == ("a", "quiet")


@pytest.mark.parametrize("jump_s", JUMPS_S)
async def test_look_at_a_batch_shows_the_remaining_wait_and_settles_no_jump(
    daemons: list[Rig], times: Times, jump_s: int
) -> None:
    first, _ = daemons
    await say(first, "a")
    await times.jump(jump_s)
    before = await times.step_ms()
    assert 0 < await remaining_ms(first) <= WAIT_MS + 2000
    assert await times.step_ms() == before


@pytest.mark.parametrize("jump_s", JUMPS_S)
async def test_ids_stay_known_over_a_jump(daemons: list[Rig], times: Times, jump_s: int) -> None:
    first, second = daemons
    assert await say(first, "a")
    await times.jump(jump_s)
    assert not await say(second, "a")
    assert not await say(first, "a")


async def test_both_daemons_go_by_one_time_after_a_jump(daemons: list[Rig], times: Times) -> None:
    first, second = daemons
    await times.jump(3600)
    await say(first, "a")
    await say(second, "b", "8")
    assert abs(await first.store.now_ms() - await second.store.now_ms()) < 2000
    assert abs(await remaining_ms(second) - await remaining_ms(first, "8")) < 2000 + WAIT_MS / 2


async def test_lateness_of_5000_batches_over_a_jump_is_short(daemons: list[Rig], times: Times) -> None:
    first, second = daemons
    for start in range(0, 5000, 250):
        await first.add(
            [
                Message(phone=f"p{number}", text="x", id="1", channel="generic")
                for number in range(start, start + 250)
            ]
        )
    await times.jump(-3600)
    assert (await first.hand_over()).batches == 0
    await times.pass_s(WAIT_MS / 1000 + 30)
    batches, more = 0, True
    while more:
        answer = await second.hand_over()
        batches, more = batches + answer.batches, answer.more
    assert batches == 5000


async def test_step_is_closed_little_by_little(daemons: list[Rig], times: Times) -> None:
    first, second = daemons
    await times.jump(3600)
    await first.hand_over()
    before = await times.step_ms()
    await times.pass_s(30)
    await second.hand_over()
    closed_ms = abs(before - 30_000 - await times.step_ms())
    assert 0 < closed_ms <= 30_000 * 0.03, "2 % of the time since then"
