"""The screens over the board."""

from __future__ import annotations

from functools import partial

from textual.app import App
from textual.containers import VerticalScroll
from textual.widgets import Static

from rfctl.cli.output import safe
from rfctl.cli.top.screens import Reading
from tests.support.waiting import until


async def test_long_text_is_one_widget_and_its_end_is_a_key_away() -> None:
    """A widget for each of thousands of lines would hold up the screen for minutes."""
    app: App[None] = App()
    lines = [safe(f"line [b]{number}[/b]") for number in range(5000)]
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(Reading(safe("title"), lines))
        assert len(app.screen.query(Static)) == 3
        scroll = app.screen.query_one("#scroll", VerticalScroll)
        await until(lambda: scroll.max_scroll_y > 4000)
        for key, place in (("pagedown", 20), ("down", 21), ("end", scroll.max_scroll_y), ("home", 0)):
            await pilot.press(key)
            await until(partial(is_at, scroll, place))


def is_at(scroll: VerticalScroll, place: float) -> bool:
    return scroll.scroll_y == place
