"""The newest lines, in the order in which things happen."""

from __future__ import annotations

from rfctl.observe.last_lines import _sort
from rfctl.observe.overview import LastLine


def test_steps_of_one_ms_stand_as_they_happen_the_last_first() -> None:
    lines = [
        LastLine(7, "out", "", "1"),
        LastLine(7, "in", "", "1"),
        LastLine(7, "dead", "", "1"),
        LastLine(8, "in", ""),
    ]
    for shuffled in (lines, lines[::-1]):
        assert [line.kind for line in _sort(shuffled)] == ["in", "dead", "out", "in"]
