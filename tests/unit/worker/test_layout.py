"""How often a worker asks where daemons write, and what it makes of a Redis that one is just beginning."""

from __future__ import annotations

from typing import cast

import pytest
import redis.asyncio

from rfctl.worker.layout import Places
from rfctl.worker.options import WorkerOptions
from rfctl.worker.patience import Patience

URL = "redis://127.0.0.1:6379/0"


class FakeRedis:
    """Has these keys, and notes what it is asked for."""

    def __init__(self, *states: dict[str, str]) -> None:
        self.states, self.asked, self.groups = list(states), list[str](), list[str]()

    async def get(self, key: str) -> bytes | None:
        """Return a value, and go on to the next state when there is one."""
        self.asked.append(key)
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return state[key].encode() if key in state else None

    async def xgroup_create(self, stream: str, *_: str, **__: object) -> None:
        """Note a stream in which a group is made."""
        self.groups.append(stream)

    def as_client(self) -> redis.asyncio.Redis:
        """Return it as what the worker takes."""
        return cast("redis.asyncio.Redis", self)


class Clock:
    """Stands still until the test moves it."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def make_places(clock: Clock) -> Places:
    async def hang_up() -> None:
        raise AssertionError("nothing has failed")

    options = WorkerOptions(url=URL, group="bot")
    return Places(options, Patience(URL, "bot", hang_up, clock), clock)


async def test_worker_asks_for_the_layout_every_ten_seconds_at_most() -> None:
    clock, server = Clock(), FakeRedis({"rfctl:shards": "0/2", "rfctl:stream": "out"})
    places = make_places(clock)
    for step in range(300):
        clock.now = step / 10
        await places.look_again(server.as_client())
    assert server.asked == ["rfctl:shards", "rfctl:stream"] * 3
    assert server.groups == ["out", "rfctl:worker:bot:again"]


async def test_name_of_the_stream_may_come_a_moment_after_the_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rfctl.worker.layout._PAUSE_S", 0)
    begun, whole = {"rfctl:shards": "0/2"}, {"rfctl:shards": "0/2", "rfctl:stream": "out"}
    late = FakeRedis(begun, begun, whole)
    await make_places(Clock()).look(late.as_client())
    assert late.groups[0] == "out"
    never = FakeRedis(begun)
    await make_places(Clock()).look(never.as_client())
    assert never.groups[0] == "rfctl:out"
