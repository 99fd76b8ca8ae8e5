"""Tables on a terminal of 80 columns: no line is longer, and no id is broken, whatever is in the cells."""

from __future__ import annotations

import io
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from rfctl.cli.output import Output
from rfctl.cli.table import open_table

ID = "1758000000000-0"
HEADINGS = ("id", "since", "sink", "message id", "phone", "attempts", "last error", "message")
ROW = (ID, "2026-11-28T23:20:24.281Z", "crm", "1758000000000-1-15", "79001234567", "6", "answered 410", "x")
LONG = "a text that goes on and on " * 8


class Terminal(io.StringIO):
    """What a command prints to, as wide as COLUMNS says."""

    def isatty(self) -> bool:
        return True


def draw(rows: list[tuple[str, ...]], headings: tuple[str, ...] = HEADINGS, below: int = 0) -> list[str]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("COLUMNS", "80")
        patched.setenv("LINES", "24")
        patched.setenv("TERM", "dumb")
        patched.setattr(sys, "stdout", screen := Terminal())
        Output().table(headings, rows, below=below)
        return [line.rstrip() for line in screen.getvalue().splitlines()]


def test_row_that_does_not_fit_has_the_rest_on_lines_below() -> None:
    lines = draw([(*ROW[:6], LONG, LONG)])
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["id", "since", "sink", "message", "id", "phone"]
    assert lines[1].split() == list(ROW[:5])
    assert lines[2].split() == ["attempts", "6"]
    assert any(line.startswith("    last error  a text") for line in lines)
    assert any(line.startswith("    message     a text") for line in lines)


def test_table_that_fits_stays_a_table_and_folds_its_last_column_alone() -> None:
    lines = draw([("a", "b", LONG)], ("one", "two", "text"))
    assert lines[0].split() == ["one", "two", "text"]
    assert all("text" not in line.split()[:1] for line in lines[2:])
    assert max(map(len, lines)) <= 80


def test_id_in_the_last_column_is_not_folded() -> None:
    key = "&" + "0" * 32
    lines = draw([("79001234567 and a long name " * 2, "5 min 0 s", key)], ("phone", "due in", "batch key"))
    assert any(key in line for line in lines)
    assert max(map(len, lines)) <= 80


def test_columns_below_stand_on_lines_of_their_own_even_where_all_fits() -> None:
    lines = draw([("1-1", "crm", "answered 410", "x")], ("id", "sink", "last error", "message"), below=2)
    assert [line.split() for line in lines] == [
        ["id", "sink"], ["1-1", "crm"], ["last", "error", "answered", "410"], ["message", "x"],
    ]  # fmt: skip


_CELLS = st.text(st.characters(codec="utf-8"), max_size=60)


_MARK = "\u302a"
"""A mark that stands over the letter before it, and so has no width of its own."""


@given(st.lists(st.tuples(*[_CELLS] * 7), min_size=1, max_size=3))
@example([("",) * 7, ("",) * 4 + (_MARK, "\x1f" * 3, ""), ("00000\x1f", "00000\x08", *("",) * 5)])
def test_no_line_is_wider_than_the_terminal_and_no_id_is_broken(rows: list[tuple[str, ...]]) -> None:
    lines = draw([(ID, *row) for row in rows])
    assert max(map(cell_len, lines)) <= 80
    assert sum(line.startswith(ID) for line in lines) == len(rows)


def print_a_row_and_fail() -> None:
    with open_table(Output(), ("id", "text")) as add:
        add(("1-1", "done"))
        raise ConnectionError


def test_rows_of_a_command_that_fails_are_printed_before_it_ends(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConnectionError):
        print_a_row_and_fail()
    assert "1-1  done" in capsys.readouterr().out


def test_long_table_is_printed_in_parts(capsys: pytest.CaptureFixture[str]) -> None:
    with open_table(Output(), ("id", "text")) as add:
        for place in range(150):
            add((f"{place}-0", "x"))
            if place == 120:
                assert "99-0" in capsys.readouterr().out
    assert "149-0" in capsys.readouterr().out


def test_row_below_says_only_what_there_is() -> None:
    lines = draw([(*ROW[:6], "-", LONG)], below=2)
    assert not any("last error" in line for line in lines[1:])
    assert any(line.startswith("    message     a text") for line in lines)


def test_elsewhere_than_on_a_terminal_nothing_stands_behind_the_last_cell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdout", pipe := io.StringIO())
    Output().table(("id", "text"), [("1", LONG.strip()), ("22", "x")])
    Output().facts([("label", "a value"), ("x", "y")])
    lines = pipe.getvalue().splitlines()
    assert lines == ["id  text", f"1   {LONG.strip()}", "22  x", "label  a value", "x      y"]
