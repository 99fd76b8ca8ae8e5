"""`rfctl top` on a real Redis: each key, each action once, a time without Redis, and every size."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.filter import Monochrome, NoColor
from textual.pilot import Pilot
from textual.widgets import Input, Static

from rfctl.cli.top.app import TopApp
from rfctl.cli.top.deeds import Deeds
from rfctl.errors import KeyTakenError, RedisUnreachableError, RfctlError
from rfctl.model.message import Message
from rfctl.observe.overview import Overview
from rfctl.observe.watching import Watcher
from rfctl.store import ConfiguredSink, batch_key_of
from rfctl.store.connection import Connection
from rfctl.text import show_phone
from tests.conftest import configure
from tests.support.batching import Rig, make_rig
from tests.support.waiting import until

ANNA, BORIS = "79000000001", "79000000002"
SINKS = [ConfiguredSink("bot", "list", "rfctl:bot"), ConfiguredSink("crm", "list", "rfctl:crm")]
OF_SINKS = {
    f"sinks__{name}__{key}": value
    for name in ("bot", "crm")
    for key, value in (("type", "list"), ("key", "k"))
}


class Desk:
    """The screen of a test, as who sits before it sees and uses it."""

    def __init__(self, app: TopApp, pilot: Pilot[None], rig: Rig) -> None:
        self.app, self.pilot, self.rig = app, pilot, rig

    @property
    def lines(self) -> list[str]:
        """The lines of the board, whatever stands over it."""
        board = self.app.screen_stack[0].query_one("#board", Static)
        return getattr(board.content, "plain", "").split("\n")

    @property
    def over(self) -> str:
        """What stands over the board."""
        if len(self.app.screen_stack) == 1:
            return ""
        return "\n".join(getattr(part.content, "plain", "") for part in self.app.screen.query(Static))

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def sees(self, text: str) -> None:
        await until(lambda: any(text in line for line in self.lines))

    async def reads(self, text: str) -> None:
        await until(lambda: text in self.over)

    async def choose(self, phone: str) -> None:
        """Move the cursor to a phone's line."""
        await self.sees(show_phone(phone))
        while not any(line.startswith("▸") and f"•••{phone[-2:]}" in line for line in self.lines):
            await self.press("down")

    async def answer(self, key: str) -> None:
        """Press a key that asks, and say yes."""
        await self.press(key)
        await self.reads("y yes")
        await self.press("y")


@asynccontextmanager
async def opened(
    connection: Connection,
    tmp_path: Path,
    size: tuple[int, int] = (80, 24),
    *,
    is_read_only: bool = False,
    **more: Any,
) -> AsyncIterator[Desk]:
    """Open the screen on a store where Anna and Boris wait."""
    rig = make_rig(connection, quiet_ms=600_000, max_wait_ms=600_000)
    await rig.add([message(ANNA, "Привет"), message(ANNA, "мне", 2), message(BORIS, "hello")])
    settings = configure(connection.address.url, tmp_path, **OF_SINKS).settings
    watcher = Watcher(rig.store, SINKS)
    app = TopApp(watcher, Deeds(rig.store, settings), is_read_only=is_read_only, every_s=0.05, **more)
    async with app.run_test(size=size) as pilot:
        desk = Desk(app, pilot, rig)
        await desk.sees("waiting: 2 batches, 3 messages")
        yield desk


def message(phone: str, text: str, number: int = 1) -> Message:
    return Message(phone=phone, text=text, id=f"{phone}-{number}", channel="salon")


@pytest.fixture
async def desk(connection: Connection, tmp_path: Path) -> AsyncIterator[Desk]:
    async with opened(connection, tmp_path) as opening:
        yield opening


@pytest.mark.parametrize("size", [(80, 24), (140, 40), (200, 60), (60, 15)])
async def test_screen_is_filled_exactly(
    connection: Connection, tmp_path: Path, size: tuple[int, int]
) -> None:
    async with opened(connection, tmp_path, size) as desk:
        assert len(desk.lines) == size[1]
        assert desk.lines[0].startswith("rfctl top  ✖ FAILING")
        assert desk.lines[-1].startswith("q quit")
        assert any("Привет" in line for line in desk.lines)


async def test_screen_follows_its_terminal(desk: Desk) -> None:
    for size in ((100, 30), (40, 10), (5, 3), (80, 24)):
        await desk.pilot.resize_terminal(*size)
        await until(lambda height=size[1]: len(desk.lines) == height)  # type: ignore[misc]


async def test_new_message_is_seen_by_itself(desk: Desk) -> None:
    await desk.rig.add([message(BORIS, "more", 2)])
    await desk.sees("waiting: 2 batches, 4 messages")


async def test_f_hands_over_after_a_yes(desk: Desk) -> None:
    await desk.choose(ANNA)
    await desk.press("f")
    await desk.reads("Hand over 2 messages of +7 900 •••01 now?")
    await desk.press("n")
    assert await desk.rig.collect() == []
    await desk.answer("f")
    await desk.sees("+7 900 •••01: 2 messages handed over as ")
    [merged] = await desk.rig.collect()
    assert (merged.phone, merged.text, merged.reason) == (ANNA, "Привет мне", "flush")
    await desk.sees("waiting: 1 batch")


async def test_enter_is_no_yes(desk: Desk) -> None:
    await desk.choose(ANNA)
    await desk.press("f")
    await desk.reads("y yes")
    await desk.press("enter")
    await until(lambda: not desk.over)
    assert await desk.rig.collect() == []


async def test_x_throws_away_and_shows_the_last_copy(desk: Desk) -> None:
    await desk.choose(ANNA)
    await desk.answer("x")
    await desk.reads("discarded: the last copy of 2 messages")
    assert "Привет" in desk.over
    assert await desk.rig.batches.peek(batch_key_of(ANNA)) is None
    await desk.press("escape")
    await desk.sees("waiting: 1 batch")


async def test_x_asks_anew_where_more_has_come_meanwhile(desk: Desk) -> None:
    await desk.choose(ANNA)
    await desk.press("x")
    await desk.reads("Throw away 2 messages of ")
    await desk.rig.add([Message(phone=ANNA, text="and this", id="late", channel="salon")])
    await desk.sees("waiting: 2 batches, 4 messages")
    await desk.press("y")
    await desk.reads("This has changed meanwhile. Throw away 3 messages of ")
    await desk.press("n")
    await until(lambda: not desk.over)
    assert await desk.rig.batches.peek(batch_key_of(ANNA)) is not None


async def test_h_holds_for_a_time_and_l_releases(desk: Desk) -> None:
    await desk.choose(ANNA)
    await desk.press("h")
    await until(lambda: desk.app.screen.query(Input))
    await desk.press(*"30m", "enter")
    await desk.sees("is held until ")
    [hold] = await desk.rig.store.holds.find(ANNA)
    assert (hold.by, hold.until_ms - hold.since_ms) == ("operator", 1_800_000)
    await desk.sees("‖ held")
    await desk.choose(ANNA)
    await desk.answer("l")
    await desk.sees("is released: 2 messages handed over as ")
    assert await desk.rig.store.holds.find(ANNA) == []


async def test_wrong_time_is_said_and_holds_nobody(desk: Desk) -> None:
    await desk.choose(ANNA)
    await desk.press("h")
    await until(lambda: desk.app.screen.query(Input))
    await desk.press(*"soon", "enter")
    await desk.sees("✖ --for soon is no time from 1s to 30d")
    assert await desk.rig.store.holds.find(ANNA) == []


async def test_l_asks_for_a_person_without_messages(desk: Desk) -> None:
    await desk.rig.store.holds.hold(batch_key_of("79003"), "79003", for_ms=60_000, by="http")
    await desk.press("l")
    await until(lambda: desk.app.screen.query(Input))
    await desk.press(*"79003", "enter")
    await desk.sees("is released: nothing was pending")


async def test_p_pauses_with_a_reason_and_r_resumes(desk: Desk) -> None:
    await desk.press("p")
    await desk.sees("✖ choose a sink with ↑ and ↓ first")
    await desk.press("down", "down", "down", "down", "p")
    await until(lambda: desk.app.screen.query(Input))
    await desk.press(*"moves", "enter")
    await desk.sees("crm is paused: moves")
    assert (await desk.rig.store.paused_sinks.list())["crm"].why == "moves"
    await desk.sees("‖  crm")
    await desk.answer("r")
    await desk.sees("crm goes on; 0 phones are retried now")
    assert await desk.rig.store.paused_sinks.list() == {}


async def test_enter_and_slash_tell_what_became_of_a_person(desk: Desk) -> None:
    await desk.choose(BORIS)
    await desk.press("enter")
    await desk.reads("1 message pending")
    await desk.press("escape")
    await desk.rig.batches.flush(batch_key_of(ANNA))
    await desk.press("slash")
    await until(lambda: desk.app.screen.query(Input))
    await desk.press(*"+7 900 000-00-01", "enter")
    await desk.reads("handed over")
    await desk.press("q")
    await until(lambda: not desk.over)


async def test_person_of_whom_there_is_nothing_is_said(desk: Desk) -> None:
    await desk.press("slash")
    await until(lambda: desk.app.screen.query(Input))
    await desk.press(*"1234567", "enter")
    await desk.reads("1234567 has no pending messages")


async def test_w_shows_what_needs_you_whole(desk: Desk) -> None:
    await desk.press("w")
    await desk.reads(
        "no processor is alive: nobody hands over what is pending [processor_missing]\n  rfctl serve"
    )


async def test_s_sorts_and_n_shows_numbers_whole(desk: Desk) -> None:
    await desk.press("s")
    await desk.sees("sort: size")
    await desk.press("n")
    await desk.sees(f"+{ANNA}")
    await desk.press("n")
    await until(lambda: not any(ANNA in line for line in desk.lines))


async def test_question_mark_shows_the_keys(desk: Desk) -> None:
    await desk.press("question_mark")
    await desk.reads("hand the chosen batch over now")


async def test_q_ends_it(desk: Desk) -> None:
    await desk.press("q")
    await until(lambda: not desk.app.is_running)


@pytest.mark.parametrize("key", ["f", "x", "h", "l", "p", "r"])
async def test_read_only_never_asks_and_never_acts(connection: Connection, tmp_path: Path, key: str) -> None:
    async with opened(connection, tmp_path, is_read_only=True) as desk:
        await desk.choose(ANNA)
        await desk.press(key)
        await desk.sees("✖ read only")
        assert desk.over == ""
        await desk.press("y", "enter")
        assert len((await desk.rig.store.pending()).next_due) == 2
        assert await desk.rig.store.paused_sinks.list() == {}
        assert await desk.rig.store.holds.list_held() == []


async def test_time_without_redis_passes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    look = desk.app._watcher.look

    async def fail() -> Overview:
        raise RedisUnreachableError("connection refused", next="start it")

    monkeypatch.setattr(desk.app._watcher, "look", fail)
    await desk.sees("✖ Redis away since ")
    await desk.sees("rfctl top  was FAILING")
    monkeypatch.setattr(desk.app._watcher, "look", look)
    await until(lambda: not any("Redis away" in line for line in desk.lines))
    await desk.sees("rfctl top  ✖ FAILING")


async def test_action_that_fails_is_said_and_the_screen_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.choose(ANNA)
    monkeypatch.setattr(
        desk.app._deeds, "flush", raising(RedisUnreachableError("connection refused", next="start it"))
    )
    await desk.answer("f")
    await desk.sees("✖ connection refused (start it)")
    await desk.rig.add([message(BORIS, "more", 2)])
    await desk.sees("waiting: 2 batches, 4 messages")


async def test_failure_that_does_not_pass_ends_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = KeyTakenError("rfctl:due is a string", next="delete it")
    monkeypatch.setattr(desk.app._watcher, "look", raising(problem))
    await until(lambda: not desk.app.is_running)
    assert desk.app.failure is problem


def raising(problem: RfctlError) -> Callable[..., Any]:
    async def fail(*_: object) -> Any:
        await asyncio.sleep(0)
        raise problem

    return fail


async def test_no_colour_leaves_the_colours_of_the_terminal(
    connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Textual's other way to be without colour makes grey of what it takes for black: a terminal's own colours."""
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened(connection, tmp_path) as desk:
        assert any(isinstance(part, NoColor) for part in desk.app._filters)
        assert not any(isinstance(part, Monochrome) for part in desk.app._filters)
