"""The steady clock on a real server: what is written down about it, and who notices a jump."""

from __future__ import annotations

import pytest

from rfctl.store import replies
from rfctl.store.connection import Connection
from tests.support.batching import make_rig
from tests.support.keys import SHARD

MINUTE, HOUR = 60_000, 3_600_000


async def read_wall_ms(connection: Connection) -> int:
    seconds, micros = map(replies.integer, await connection.call("TIME"))
    return seconds * 1000 + micros // 1000


async def read_marks(connection: Connection) -> tuple[int, int]:
    """The step and the latest time that are written down, ms."""
    step, seen = await connection.call("HMGET", SHARD.clock, "step", "seen")
    return int(step), int(seen)


async def test_scripts_go_by_the_step_that_is_written_down(connection: Connection) -> None:
    await connection.call("HSET", SHARD.clock, "step", HOUR)
    answer = await make_rig(connection).hand_over()
    assert abs(await read_wall_ms(connection) - HOUR - answer.now_ms) < 10 * MINUTE


async def test_process_that_starts_after_a_jump_back_notices_it(connection: Connection) -> None:
    """The server's clock shows an hour less than what was written down, and this process has seen neither."""
    seen_ms = await read_wall_ms(connection) + HOUR
    await connection.call("HSET", SHARD.clock, "step", 0, "seen", seen_ms)
    answer = await make_rig(connection).hand_over()
    assert answer.now_ms >= seen_ms
    step_ms, _ = await read_marks(connection)
    assert -HOUR <= step_ms < -HOUR + 10 * MINUTE


async def test_step_that_another_process_has_changed_meanwhile_stays(connection: Connection) -> None:
    assert int(await connection._set_step(SHARD, 0, -50_000)) == -50_000
    assert int(await connection._set_step(SHARD, 0, -100_000)) == -50_000
    assert int(await connection._set_step(SHARD, -50_000, 0)) == 0


@pytest.mark.parametrize("step_ms", [HOUR, -HOUR])
async def test_gap_to_the_servers_clock_is_closed_by_two_percent(
    connection: Connection, step_ms: int
) -> None:
    seen_ms = await read_wall_ms(connection) - step_ms - 10_000
    await connection.call("HSET", SHARD.clock, "step", step_ms, "seen", seen_ms)
    await make_rig(connection).hand_over()
    closer_ms, now_ms = await read_marks(connection)
    assert now_ms - seen_ms >= 10_000
    assert abs(step_ms) - abs(closer_ms) == min(now_ms - seen_ms, MINUTE) // 50


@pytest.mark.parametrize("step_ms", [3, -3])
async def test_small_gap_is_closed_and_not_turned_round(connection: Connection, step_ms: int) -> None:
    seen_ms = await read_wall_ms(connection) - 10_000
    await connection.call("HSET", SHARD.clock, "step", step_ms, "seen", seen_ms)
    await make_rig(connection).hand_over()
    assert (await read_marks(connection))[0] == 0


async def test_latest_time_is_written_down_now_and_then(connection: Connection) -> None:
    rig = make_rig(connection)
    first = (await rig.hand_over()).now_ms
    await connection.call("HSET", SHARD.clock, "step", 0)
    assert (await read_marks(connection))[1] == first
    await connection.call("HSET", SHARD.clock, "seen", first - 5000)
    second = (await rig.hand_over()).now_ms
    assert (await read_marks(connection))[1] == second
