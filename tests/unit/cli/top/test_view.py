"""What an operator has chosen, while the lines move."""

from __future__ import annotations

import msgspec
import pytest

from rfctl.cli.top.view import View
from rfctl.observe.overview import Overview
from tests.support.overviews import make_numbered_row, make_overview, make_sink


def test_cursor_goes_through_those_who_wait_and_then_the_sinks() -> None:
    view, overview, seen = View(), make_overview(2), []
    for _ in range(6):
        view = view.move(overview, 1)
        seen.append(view.cursor)
    batches = [("batch", row.batch_key) for row in overview.waiting.rows]
    assert seen == [*batches, ("sink", "bot"), *[("sink", "crm")] * 3]
    assert view.move(overview, -99).cursor == batches[0]


def test_cursor_stays_on_a_person_who_is_due_later_now() -> None:
    before = make_overview(3)
    view = View().move(before, 1)
    first, *others = before.waiting.rows
    moved = with_rows(before, *others, msgspec.structs.replace(first, due_in_ms=99_000))
    assert view.follow(before, moved).find_row(moved) == moved.waiting.rows[-1]
    assert view.list_rows(moved)[-1].phone == first.phone


def test_next_is_chosen_where_a_person_has_left() -> None:
    before = make_overview(3)
    view = View().move(before, 1).move(before, 1)
    after = with_rows(before, before.waiting.rows[0], before.waiting.rows[2])
    assert view.follow(before, after).cursor == ("batch", before.waiting.rows[2].batch_key)


def test_sink_is_chosen_where_nobody_waits_any_more() -> None:
    before = make_overview(1)
    assert View().move(before, 1).follow(before, with_rows(before)).cursor == ("sink", "bot")


def test_nothing_is_chosen_by_itself() -> None:
    assert View().follow(make_overview(1), make_overview(3)).cursor is None


def with_rows(overview: Overview, *rows: object) -> Overview:
    waiting = msgspec.structs.replace(overview.waiting, rows=rows)
    return msgspec.structs.replace(overview, waiting=waiting)


@pytest.mark.parametrize(("presses", "first"), [(0, 2), (1, 1), (2, 3), (3, 2)])
def test_order_is_by_due_time_then_size_then_wait(presses: int, first: int) -> None:
    rows = (
        make_numbered_row(1, size=9, waited_ms=2, due_in_ms=5),
        make_numbered_row(2, due_in_ms=1, waited_ms=1),
        make_numbered_row(3, waited_ms=9),
    )
    view = View()
    for _ in range(presses):
        view = view.sort_next()
    assert view.list_rows(with_rows(make_overview(), *rows))[0].phone == f"790012345{first:02}"


def test_only_sink_needs_no_cursor() -> None:
    overview = make_overview(sinks=(make_sink("bot"),))
    assert View().find_sink(overview) == make_sink("bot")
    assert View().find_sink(make_overview()) is None
