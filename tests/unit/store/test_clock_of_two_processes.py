"""Two processes with one steady clock: a host that stood still does not turn it for the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from rfctl.store.clock import ServerClock

KEY = "rfctl:clock"


class Server:
    """The clock of a server and the step that is written down, in ms; the clocks of two hosts, in s."""

    def __init__(self) -> None:
        self.wall_ms = 1_700_000_000_000
        self.step_ms = 0
        self.steps_written = 0
        self.hosts = [0.0, 0.0]

    def pass_time(self, seconds: float, *, standing_still: int | None = None) -> None:
        self.wall_ms += int(seconds * 1000)
        self.hosts = [at + (0 if host == standing_still else seconds) for host, at in enumerate(self.hosts)]

    async def calls(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        seconds, ms = divmod(self.wall_ms, 1000)
        return [[seconds, ms * 1000], [str(self.step_ms).encode(), None]]

    async def set_step(self, before_ms: int, step_ms: int) -> bytes:
        if before_ms == self.step_ms:
            self.step_ms = step_ms
            self.steps_written += 1
        return str(self.step_ms).encode()

    async def script(self, clock: ServerClock) -> int:
        """Do what `Connection.run` does: ask within bounds, and settle until they hold."""
        await clock.keep_fresh(self.calls, KEY)
        for _ in range(10):
            earliest, latest = clock.bounds(KEY)
            now = self.wall_ms - self.step_ms
            if (earliest == "" or now >= int(earliest)) and (latest == "" or now <= int(latest)):
                return now
            await clock.settle(self.calls, self.set_step, KEY)
        raise AssertionError("the clock is never settled")


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def clocks(server: Server) -> list[ServerClock]:
    return [ServerClock(lambda: server.hosts[0]), ServerClock(lambda: server.hosts[1])]


@pytest.mark.parametrize("jump_s", [-86_400, -50, 50, 86_400])
async def test_jump_of_the_servers_clock_is_settled_once(
    server: Server, clocks: list[ServerClock], jump_s: int
) -> None:
    before = [await clock.now_ms(server.calls, KEY) for clock in clocks]
    server.wall_ms += jump_s * 1000
    assert [await server.script(clock) for clock in clocks] == before
    assert (server.step_ms, server.steps_written) == (jump_s * 1000, 1)


async def test_host_that_stood_still_is_set_right_by_the_other(
    server: Server, clocks: list[ServerClock]
) -> None:
    for clock in clocks:
        await clock.now_ms(server.calls, KEY)
    server.pass_time(30, standing_still=1)
    for _ in range(5):
        server.pass_time(1)
        await server.script(clocks[1])
        await server.script(clocks[0])
    assert server.step_ms == 0
    assert server.steps_written == 2, "the wrong step and its correction, and no more of them"


@pytest.mark.parametrize("after_s", [1, 45, 59, 600])
async def test_process_that_only_runs_scripts_notices_a_jump_forward(
    server: Server, clocks: list[ServerClock], after_s: int
) -> None:
    """A scheduler reads no clock besides: without this it would hand over everything at once."""
    await server.script(clocks[0])
    for _ in range(after_s):
        server.pass_time(1)
        before = await server.script(clocks[0])
    server.wall_ms += 86_400_000
    assert await server.script(clocks[0]) == before
    assert server.step_ms == 86_400_000
