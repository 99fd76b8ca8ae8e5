"""Logouts: known here at once, asked for once a second at most, and told to others as soon as Redis can be told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from structlog.testing import capture_logs

from rfctl.errors import RedisUnreachableError
from rfctl.page.logouts import _MAX_ASKED, Logouts
from rfctl.page.sessions import Session

NOW_S = 1_790_000_000
SESSION, OTHER = Session("a", NOW_S + 600), Session("b", NOW_S + 900)


class SharedStore:
    """What two daemons share. While `is_away` each call fails; while `hangs` none answers."""

    def __init__(self) -> None:
        self.lifetimes_s: dict[str, int] = {}
        self.asked: list[str] = []
        self.is_away = self.hangs = False

    async def add(self, lifetimes_s: Mapping[str, int]) -> None:
        await self._fail()
        self.lifetimes_s.update(lifetimes_s)

    async def contains(self, session_id: str) -> bool:
        self.asked.append(session_id)
        await self._fail()
        return session_id in self.lifetimes_s

    async def _fail(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.is_away:
            raise RedisUnreachableError("cut")


class Hours:
    """Unix time and the even one, both moved by a test, s."""

    def __init__(self) -> None:
        self.now_s = float(NOW_S)

    def __call__(self) -> float:
        return self.now_s


def open_logouts(store: SharedStore, clock: Hours, wait_s: float = 30.0) -> Logouts:
    return Logouts(store, clock, clock, wait_s=wait_s, every_s=1.0)


async def test_logout_is_known_here_at_once_and_elsewhere_within_a_second() -> None:
    store, clock = SharedStore(), Hours()
    here, there = open_logouts(store, clock), open_logouts(store, clock)
    assert not await there.contains(SESSION)
    assert await here.add(SESSION)
    assert await here.contains(SESSION)
    assert not await there.contains(SESSION), "it has just asked"
    clock.now_s += 1
    assert await there.contains(SESSION)
    assert not await there.contains(OTHER)


async def test_redis_is_asked_once_a_second_and_never_for_what_is_known() -> None:
    store, clock = SharedStore(), Hours()
    logouts = open_logouts(store, clock)
    for _ in range(5):
        assert not await logouts.contains(SESSION)
    assert store.asked == ["a"]
    await logouts.add(SESSION)
    clock.now_s += 60
    assert await logouts.contains(SESSION)
    assert store.asked == ["a"]


async def test_key_outlives_the_session_where_clocks_differ() -> None:
    store, clock = SharedStore(), Hours()
    await open_logouts(store, clock).add(SESSION)
    assert store.lifetimes_s == {"a": 600 + 3600}


@pytest.mark.parametrize("hangs", [False, True])
async def test_logout_that_redis_does_not_take_is_told_later(hangs: bool) -> None:
    store, clock = SharedStore(), Hours()
    logouts = Logouts(store, clock, clock, every_s=0.01, wait_s=0.01 if hangs else 30)
    store.is_away, store.hangs = not hangs, hangs
    with capture_logs() as lines:
        assert not await logouts.add(SESSION)
        assert await logouts.contains(SESSION), "this daemon knows"
        assert not await logouts.contains(OTHER), "and the page is there in an outage"
        store.is_away = store.hangs = False
        assert logouts._saving is not None
        async with asyncio.timeout(60):
            await logouts._saving
    assert "a" in store.lifetimes_s
    assert [line["event"] for line in lines] == ["logouts_completed"]
    assert await logouts.add(OTHER), "nothing is left over"


async def test_stop_ends_what_would_be_told_later() -> None:
    store = SharedStore()
    store.is_away = True
    logouts = open_logouts(store, Hours())
    logouts.stop()
    assert not await logouts.add(SESSION)
    logouts.stop()
    assert logouts._saving is not None
    with pytest.raises(asyncio.CancelledError):
        await logouts._saving


async def test_what_is_over_anyway_is_neither_kept_nor_told() -> None:
    store, clock = SharedStore(), Hours()
    logouts = open_logouts(store, clock)
    store.is_away = True
    assert not await logouts.add(SESSION)
    clock.now_s += 100_000
    store.is_away = False
    late = Session("late", NOW_S + 200_000)
    assert await logouts.add(late)
    assert list(store.lifetimes_s) == ["late"]
    assert list(logouts._ended) == ["late"]
    for number in range(2 * _MAX_ASKED):
        await logouts.contains(Session(f"s{number}", NOW_S + 200_000))
        clock.now_s += 1
    assert len(logouts._asked_at) <= _MAX_ASKED
    logouts.stop()
