"""The kept counts, and the rule by which a count of instructions may not rise."""

from __future__ import annotations

import pytest

from bench.callgrind import ROOT
from bench.instruction_counts import Kept, explain_rises, format_counts, parse_kept
from bench.instructions import KEPT_FILE, WORK

KEPT = {"add": Kept(1000, 600)}


def test_count_may_rise_by_five_percent() -> None:
    assert explain_rises({"add": 1000}, {"add": 1050}, KEPT, KEPT) == []


def test_count_that_rises_more_is_named_with_both_counts() -> None:
    [line] = explain_rises({"add": 1000}, {"add": 1051}, KEPT, KEPT)
    assert line.startswith("add has risen from 1,000 to 1,051 instructions, 5.1%")
    assert KEPT_FILE in line


def test_rise_is_meant_where_the_commit_changes_the_kept_line() -> None:
    assert explain_rises({"add": 1000}, {"add": 2000}, KEPT, {"add": Kept(1000, 1200)}) == []


def test_rise_of_another_count_is_not_excused_by_a_changed_line() -> None:
    before, now = {"add": 1000, "hand-over": 1000}, {"add": 2000, "hand-over": 2000}
    kept = KEPT | {"hand-over": Kept(1, 1)}
    [line] = explain_rises(before, now, kept, kept | {"add": Kept(1000, 1200)})
    assert line.startswith("hand-over ")


def test_count_that_is_missing_is_named_unless_its_line_is_gone() -> None:
    [line] = explain_rises({"add": 1000}, {}, KEPT, KEPT)
    assert line.startswith("add is not counted any more")
    assert explain_rises({"add": 1000}, {}, KEPT, {}) == []


def test_new_count_has_nothing_to_compare_with() -> None:
    assert explain_rises({}, {"add": 1000}, {}, KEPT) == []


def test_kept_counts_are_read_as_they_were_written() -> None:
    kept = {"add": Kept(1_000_000, 600), "gone": Kept(1, 2)}
    text = format_counts(kept, {"add": "a message"})
    assert "add = { base = 1_000_000, current = 600 }  # a message\n" in text
    assert parse_kept(text) == kept


@pytest.mark.parametrize(
    "text", ["add = 1", "add = { base = 1 }", "add = { base = 1, current = 2, x = 3 }", "add = [1]"]
)
def test_line_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a line is not"):
        parse_kept(text)


def test_file_keeps_a_line_for_each_count() -> None:
    assert list(parse_kept((ROOT / KEPT_FILE).read_text())) == list(WORK)
