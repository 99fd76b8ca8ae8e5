"""docs/FAULTS.md: every row names tests, and every test that it names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import get_args

import pytest

from rfctl.observe.finding import Code

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "FAULTS.md"
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
_OPEN = "open"
"""Stands in a row whose kind no test holds yet, or not wholly."""


def read_rows() -> dict[str, list[str]]:
    """Return the other cells of each row, by its name."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1:] for row in rows if row[0] != "row"}


ROWS = read_rows()


@cache
def list_tests(file: str) -> frozenset[str]:
    """Return the names of the test functions of a file; none for a file that is not there."""
    path = ROOT / file
    body = ast.parse(path.read_text()).body if path.exists() else []
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in body if isinstance(node, functions))


def find_faults(cells: list[str]) -> list[str]:
    """Return what is wrong with a row: it is open, names no test, or one that does not exist."""
    must, tests = cells
    named = _TEST.findall(tests)
    faults = [f"{file}::{name} does not exist" for file, name in named if name not in list_tests(file)]
    rest = _TEST.sub("", tests).replace("<br>", "").strip()
    if rest == _OPEN or not (named or rest):
        faults.append("it is open")
    if not must:
        faults.append("it does not say what must be true")
    return faults


def test_every_numbered_row_is_on_the_page() -> None:
    names = {name.partition(",")[0] for name in ROWS}
    numbered = [
        f"{letter}{number}"
        for letter, last in (("A", 37), ("B", 8), ("C", 12), ("G", 61), ("H", 6), ("S", 26))
        for number in range(1, last + 1)
    ]
    assert {*numbered, "D", "E", "F"} == names


@pytest.mark.parametrize(
    ("cells", "faulty"),
    [
        (["it holds", "`tests/unit/pages/test_faults.py::test_every_numbered_row_is_on_the_page`"], False),
        (["it holds", "decided otherwise: see adr/0001"], False),
        (["it holds", "`tests/unit/pages/test_faults.py::test_that_nobody_wrote`"], True),
        (["it holds", "`tests/nowhere.py::test_every_row_names_a_test`"], True),
        (["it holds", "open"], True),
        (["it holds", ""], True),
        (["", "`tests/unit/pages/test_faults.py::test_every_numbered_row_is_on_the_page`"], True),
        (
            ["it holds", "`tests/unit/pages/test_faults.py::test_every_numbered_row_is_on_the_page`<br>open"],
            True,
        ),
    ],
)
def test_row_without_a_test_is_noticed(cells: list[str], faulty: bool) -> None:
    assert bool(find_faults(cells)) == faulty


def test_every_test_that_is_named_exists() -> None:
    named = [pair for cells in ROWS.values() for pair in _TEST.findall(cells[1])]
    assert len(named) > 50
    assert [f"{file}::{name}" for file, name in named if name not in list_tests(file)] == []


@pytest.mark.parametrize("row", sorted(ROWS))
def test_every_row_names_a_test(row: str) -> None:
    assert find_faults(ROWS[row]) == []


_NAMED_BY = re.compile(r"`(rfctl \w+)`: `(\w+)`\.$")
_SETUPS = ("tests/integration/observe/setups/", "tests/cli/test_doctor.py")


def name_command(row: str) -> str:
    """Return the one command that names a set-up; "" unless a test of it has the code that the row says."""
    must, tests = ROWS[row]
    match = _NAMED_BY.search(must)
    if match is None or match[2] not in get_args(Code):
        return ""
    files = [file for file, _ in _TEST.findall(tests) if file.startswith(_SETUPS)]
    return match[1] if any(f'"{match[2]}"' in (ROOT / file).read_text() for file in files) else ""


def test_one_command_names_at_least_twenty_five_of_the_set_ups() -> None:
    commands = [name_command(row) for row in ROWS if row.startswith("S")]
    assert len(commands) == 26
    assert commands.count("rfctl doctor") >= 25, commands
