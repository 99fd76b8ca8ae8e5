"""The steady clock without a server: what a process expects, and what it writes down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from rfctl.store.clock import ServerClock

KEY = "clock"
START_MS = 1_790_000_000_000


class FakeServer:
    """A server's clock and the steady clock's hash; the host's clock beside it. Each call takes `delay_ms`."""

    def __init__(self) -> None:
        self.wall_ms = START_MS
        self.host_s = 100.0
        self.step_ms = 0
        self.seen_ms: int | None = None
        self.delay_ms = 0
        self.steps: list[tuple[int, int]] = []

    def host_clock(self) -> float:
        return self.host_s

    def pass_ms(self, ms: int) -> None:
        """Let time pass, for both."""
        self.wall_ms += ms
        self.host_s += ms / 1000

    async def calls(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        assert [command[0] for command in commands] == ["TIME", "HMGET"]
        self.pass_ms(self.delay_ms)
        seen = None if self.seen_ms is None else str(self.seen_ms).encode()
        seconds, ms = divmod(self.wall_ms, 1000)
        return [[str(seconds).encode(), str(ms * 1000).encode()], [str(self.step_ms).encode(), seen]]

    async def set_step(self, before_ms: int, step_ms: int) -> int:
        if before_ms == self.step_ms:
            self.step_ms = step_ms
            self.steps.append((before_ms, step_ms))
        return self.step_ms

    @property
    def steady_ms(self) -> int:
        return self.wall_ms - self.step_ms


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def clock(server: FakeServer) -> ServerClock:
    return ServerClock(server.host_clock)


def accepts(clock: ServerClock, server: FakeServer) -> bool:
    """Whether a script would accept the time now, as shared/clock.lua decides it."""
    earliest, latest = clock.bounds(KEY)
    return (earliest == "" or server.steady_ms >= int(earliest)) and (
        latest == "" or server.steady_ms <= int(latest)
    )


async def settle(clock: ServerClock, server: FakeServer) -> None:
    await clock.settle(server.calls, server.set_step, KEY)


async def test_clock_without_a_reading_sets_no_bounds(clock: ServerClock) -> None:
    assert clock.bounds(KEY) == ("", "")


@pytest.mark.parametrize("jump_ms", [3_600_000, -3_600_000, 86_400_000, -86_400_000, 5_000, -5_000, 50_000])
async def test_jump_is_noticed_and_the_steady_clock_goes_on(
    clock: ServerClock, server: FakeServer, jump_ms: int
) -> None:
    await clock.now_ms(server.calls, KEY)
    server.pass_ms(2000)
    assert accepts(clock, server)
    server.wall_ms += jump_ms
    assert not accepts(clock, server)
    await settle(clock, server)
    assert accepts(clock, server)
    assert abs(server.steady_ms - (START_MS + 2000)) <= 1
    server.pass_ms(3000)
    assert await clock.now_ms(server.calls, KEY) == server.steady_ms == START_MS + 5000


async def test_two_jumps_add_up(clock: ServerClock, server: FakeServer) -> None:
    await clock.now_ms(server.calls, KEY)
    for jump_ms in (3_600_000, -7_200_000):
        server.wall_ms += jump_ms
        await settle(clock, server)
    assert server.step_ms == -3_600_000
    assert server.steady_ms == START_MS


async def test_reading_alone_writes_nothing(clock: ServerClock, server: FakeServer) -> None:
    await clock.now_ms(server.calls, KEY)
    server.wall_ms += 3_600_000
    assert await clock.now_ms(server.calls, KEY) == START_MS
    assert server.steps == []


async def test_call_that_was_long_on_its_way_is_no_jump(clock: ServerClock, server: FakeServer) -> None:
    await clock.now_ms(server.calls, KEY)
    bounds = clock.bounds(KEY)
    server.pass_ms(9000)
    assert server.steady_ms > int(bounds[1]), "the script refuses it"
    await settle(clock, server)
    assert server.steps == []


async def test_slow_answer_is_no_jump(clock: ServerClock, server: FakeServer) -> None:
    server.delay_ms = 4000
    await clock.now_ms(server.calls, KEY)
    server.delay_ms = 0
    server.pass_ms(1000)
    assert accepts(clock, server)
    await settle(clock, server)
    assert server.steps == []


async def test_process_that_starts_after_a_jump_back_goes_by_the_time_written_down(
    server: FakeServer,
) -> None:
    server.seen_ms = START_MS
    server.wall_ms = START_MS - 3_600_000
    late = ServerClock(server.host_clock)
    assert await late.now_ms(server.calls, KEY) == START_MS
    await settle(late, server)
    assert server.steady_ms == START_MS


async def test_two_processes_write_one_jump_down_once(server: FakeServer) -> None:
    first, second = ServerClock(server.host_clock), ServerClock(server.host_clock)
    for clock in (first, second):
        await clock.now_ms(server.calls, KEY)
    server.wall_ms += 3_600_000
    await settle(first, server)
    await settle(second, server)
    assert server.steps == [(0, 3_600_000)]
    assert accepts(first, server)
    assert accepts(second, server)


async def test_old_reading_sets_no_bounds(clock: ServerClock, server: FakeServer) -> None:
    await clock.now_ms(server.calls, KEY)
    server.pass_ms(60_000)
    assert clock.bounds(KEY) == ("", "")
    assert await clock.now_ms(server.calls, KEY) == server.steady_ms


async def test_clocks_that_run_two_percent_apart_are_no_jump(clock: ServerClock, server: FakeServer) -> None:
    await clock.now_ms(server.calls, KEY)
    for _ in range(50):
        server.host_s += 1.0
        server.wall_ms += 1020
        assert accepts(clock, server)
    await settle(clock, server)
    assert server.steps == []
