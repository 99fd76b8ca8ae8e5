"""A screen that is watched fits every terminal: no line is wider, there are no more lines, and what is cut is said."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from rfctl.cli.fitting import Part, align, fit, measure_least
from rfctl.cli.output import safe


def part(title: str, count: int, *, least: int = 0, beyond: int = 0) -> Part:
    return Part([Text(title)], [[Text(f"{title} {place}")] for place in range(count)], least, beyond)


def show(parts: list[Part], height: int) -> list[str]:
    return [line.plain for line in fit(parts, 40, height)]


def test_part_above_grows_first_and_each_says_what_it_leaves_out() -> None:
    lines = show([part("A", 3), part("B", 9, least=2), part("C", 9, least=2)], 12)
    assert lines == ["A", "A 0", "A 1", "A 2", "B", "B 0", "B 1", "… 7 more", "C", "C 0", "C 1", "… 7 more"]


def test_what_was_never_read_counts_as_left_out() -> None:
    assert show([part("A", 2, beyond=5)], 9) == ["A", "A 0", "A 1", "… 5 more"]


def test_parts_that_fit_stand_apart() -> None:
    assert show([part("A", 1), part("B", 1)], 5) == ["A", "A 0", "", "B", "B 0"]


def test_part_that_could_show_its_heading_alone_leaves_its_room_to_the_others() -> None:
    assert show([part("A", 3, least=1), part("B", 5)], 5) == ["A", "A 0", "A 1", "A 2"]


def test_first_part_is_what_the_smallest_terminal_shows() -> None:
    assert show([part("A", 5, least=5), part("B", 5, least=2)], 2)[0] == "A"


def test_least_height_is_that_of_what_each_part_needs() -> None:
    parts = [part("A", 3, least=3), part("B", 9, least=2)]
    assert measure_least(parts) == 4 + 4
    assert len(show(parts, measure_least(parts))) == 8


def test_heading_of_items_stands_there_only_with_items() -> None:
    waiting = Part([Text("A 3")], [[Text("x")], [Text("y")], [Text("z")]], heading=[Text("name")])
    assert show([waiting], 1) == ["A 3"]
    assert show([waiting], 4) == ["A 3", "name", "x", "… 2 more"]
    assert show([Part([], waiting.items, heading=waiting.heading)], 1) == ["… 3 more"]


def test_columns_stand_under_one_another_also_where_letters_are_two_cells_wide() -> None:
    rows = [[Text("你好"), Text("7"), Text("x")], [Text("a"), Text("12"), Text("y")]]
    assert [line.plain for line in align(rows, frozenset({1}))] == ["你好   7  x", "a     12  y"]


_LINES = st.lists(st.text(st.characters(codec="utf-8"), max_size=60).map(safe), min_size=1, max_size=3)
_PARTS = st.builds(
    Part,
    head=_LINES,
    items=st.lists(_LINES, max_size=6),
    least=st.integers(0, 4),
    beyond=st.integers(0, 3),
)


@given(st.lists(_PARTS, min_size=1, max_size=4), st.integers(1, 80), st.integers(1, 30))
def test_screen_is_never_larger_than_the_terminal(parts: list[Part], width: int, height: int) -> None:
    lines = fit(parts, width, height)
    assert len(lines) <= height
    assert max(cell_len(line.plain) for line in lines) <= width
