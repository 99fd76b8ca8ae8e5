"""Small pieces of the screen."""

from __future__ import annotations

import pytest

from rfctl.cli.top.cells import brief, draw_bar, draw_curve
from rfctl.cli.top.layout import Wish, scroll, share


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (None, "-"), (0, "0ms"), (999, "999ms"), (1400, "1.4s"), (80_000, "1m20s"), (7_380_000, "2h03m"),
        (274_000_000, "3d04h"), (-5, "0ms"),
    ],
)  # fmt: skip
def test_time_is_as_short_as_can_be(ms: int | None, text: str) -> None:
    assert brief(ms) == text


@pytest.mark.parametrize(
    ("counts", "width", "curve"),
    [((), 5, ""), ((0, 0), 5, "▁▁"), ((0, 7), 5, "▁█"), ((9, 0, 2, 4), 3, "▁▅█"), ((1, 2), 0, "")],
)
def test_curve_has_the_newest_counts(counts: tuple[int, ...], width: int, curve: str) -> None:
    assert draw_curve(counts, width) == curve


@pytest.mark.parametrize(
    ("fraction", "bar"), [(0, "    "), (0.5, "██  "), (0.9, "███▋"), (1, "████"), (7, "████"), (-1, "    ")]
)
def test_bar_is_as_full_as_the_fraction(fraction: float, bar: str) -> None:
    assert draw_bar(fraction, 4) == bar


@pytest.mark.parametrize(
    ("height", "counts"),
    [(0, [0, 0, 0]), (1, [1, 0, 0]), (3, [1, 1, 0]), (5, [1, 1, 1]), (8, [3, 2, 1]), (99, [3, 20, 1])],
    ids=["none", "a finding", "then one line with its head", "then the next", "then they grow", "all"],
)
def test_lines_are_shared_by_importance(height: int, counts: list[int]) -> None:
    assert share(height, [Wish(3, 1, head=0), Wish(20, 1), Wish(1, 1)]) == counts


@pytest.mark.parametrize(("cursor", "first"), [(None, 0), (0, 0), (4, 0), (5, 1), (9, 5), (50, 5)])
def test_cursor_is_among_the_lines_that_are_shown(cursor: int | None, first: int) -> None:
    assert scroll(10, 5, cursor) == first
