"""The lines of the screen, at every size."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from rfctl.cli.outage import Outage
from rfctl.cli.top.board import Notice, draw_board
from rfctl.cli.top.texts import write_findings, write_help
from rfctl.cli.top.view import View
from rfctl.errors import RedisUnreachableError
from rfctl.observe.overview import Flow, Overview
from tests.support.overviews import DEAD, FAILING, NOW_MS, make_numbered_row, make_overview

SIZES = [(80, 24), (140, 40), (200, 60), (60, 15), (20, 5), (7, 2), (1, 1)]


def draw(
    overview: Overview, width: int = 80, height: int = 24, view: View | None = None, **more: Any
) -> list[str]:
    """Return the lines as plain text."""
    return [line.plain for line in draw_board(overview, view or View(), width, height, NOW_MS, **more)]


@pytest.mark.parametrize("waiting", [0, 1, 3, 80])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_board_fits_every_screen(width: int, height: int, waiting: int) -> None:
    overview = make_overview(waiting)
    view = View().move(overview, waiting + 1)
    lines = draw_board(overview, view, width, height, NOW_MS)
    assert len(lines) == height
    assert max(line.cell_len for line in lines) <= width


def test_usual_terminal_shows_each_part() -> None:
    lines = draw(make_overview())
    assert lines[0].startswith("rfctl top  ✖ FAILING  2 daemons")
    assert "10.0.0.5:6379/0" in lines[0]
    assert lines[1] == "in 41/m ▂▁▃█  out 12/m ▃▅▆█  3.4→1  wait p95 7.8s  late p99 3ms  dead 4  quar 1"
    assert lines[2].startswith("✖ FAIL sink crm fails: 503")
    assert lines[3].startswith("▲ warn 4 dead messages")
    assert lines[4].startswith("── waiting: 3 batches, 6 messages, oldest 4.1s ──")
    assert "1.0s  ██    +7 900 •••01  salon" in lines[6]
    assert "Привет 1" in lines[6]
    text = "\n".join(lines)
    for part in (
        "── out to",
        "p95 8ms",
        "fails: 503",
        "17 left  next 1m20s",
        "hands",
        "── last",
        "<-- +7 900 •••67  3→1 quiet",
    ):
        assert part in text
    assert lines[-1].startswith("q quit")


def test_what_nobody_knows_is_a_dash() -> None:
    flow = Flow(None, None, (), (), None, None, None, None, 0, 0, 0)
    assert draw(make_overview(flow=flow))[1] == "in -  out -  wait p95 -  late p99 -"


def test_cursor_is_in_sight_among_many() -> None:
    overview = make_overview(80)
    view = View().move(overview, 1).move(overview, 70)
    assert any(line.startswith("▸") and "Привет 71" in line for line in draw(overview, view=view))


def test_findings_that_have_no_room_are_counted() -> None:
    lines = draw(make_overview(findings=(FAILING, DEAD, DEAD, DEAD, DEAD, DEAD)))
    assert sum("FAIL" in line or "warn 4" in line for line in lines[1:]) == 3
    assert lines[4].startswith("(3 more: w) ")


def test_held_late_and_full_are_said_in_words() -> None:
    rows = (
        make_numbered_row(1, is_held=True),
        make_numbered_row(2, due_in_ms=-5000),
        make_numbered_row(3, size=9),
    )
    waiting = msgspec.structs.replace(make_overview().waiting, rows=rows)
    text = "\n".join(draw(msgspec.structs.replace(make_overview(), waiting=waiting)))
    for part in ("‖ held", "▲ late    5.0s", "9/10"):
        assert part in text


def test_state_has_a_sign_where_there_is_no_colour() -> None:
    lines = draw_board(make_overview(), View(), 80, 24, NOW_MS)
    colours = ("green", "yellow", "red")
    for line in lines:
        for span in line.spans:
            if any(colour in str(span.style) for colour in colours):
                words = line.plain[span.start : span.end]
                assert any(sign in words for sign in ("✖", "▲", "●", "‖", "dead", "quar", "=")), words


def test_text_of_a_stranger_acts_on_nothing() -> None:
    rows = (make_numbered_row(1, text="[red]x[/]", source="\x1b[2J", phone="7\x1b"),)
    waiting = msgspec.structs.replace(make_overview().waiting, rows=rows)
    text = "\n".join(draw(msgspec.structs.replace(make_overview(), waiting=waiting)))
    assert "[red]x[/]" in text
    assert "\x1b" not in text


def test_outage_stands_above_what_was_last_seen() -> None:
    lines = draw(make_overview(), outage=Outage(RedisUnreachableError("no", next="")))
    assert lines[0].startswith("✖ Redis away since ")
    assert lines[1].startswith(f"rfctl top  was {make_overview().word}"), "nobody knows whether it still is"


def test_notice_takes_the_place_of_the_keys() -> None:
    assert draw(make_overview(), notice=Notice("handed over"))[-1] == "handed over"
    assert draw(make_overview(), notice=Notice("no", is_failure=True))[-1] == "✖ no"


@pytest.mark.parametrize("width", [60, 80, 140])
def test_read_only_says_so_and_names_no_key_that_acts(width: int) -> None:
    keys = draw(make_overview(), width, view=View(is_read_only=True))[-1]
    assert "read only" in keys
    assert "flush" not in keys


def test_phones_are_whole_when_they_are_asked_for() -> None:
    assert "+79001234501" not in "\n".join(draw(make_overview()))
    assert "+79001234501" in "\n".join(draw(make_overview(), view=View(has_whole_phones=True)))


def test_help_has_the_keys_that_work() -> None:
    assert len(write_help(is_read_only=False)) - len(write_help(is_read_only=True)) == 6


def test_finding_is_whole_with_who_set_it_and_what_to_do() -> None:
    lines = [line.plain for line in write_findings([FAILING])]
    assert lines == [
        "✖ FAIL sink crm fails: 503 [sink_failing]",
        "  set by config.toml:4",
        "  rfctl resume crm retries now",
    ]
    assert [line.plain for line in write_findings([])] == ["nothing needs you"]
