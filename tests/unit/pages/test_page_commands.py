"""The command lines of all pages, in blocks and in the text: each command and option is there. What no test runs is bounded."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.support.site.blocks import REASONS, list_blocks_of, read_blocks, strip_blocks
from tests.support.site.command_lines import cut_shell, find_command_fault, find_name_fault
from tests.support.site.navigation import DOCS, ROOT

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted(DOCS.rglob("*.md")),
]
LONGEST_LINE = 130
SPAN = re.compile(r"`(rfctl [a-z][^`\n]*)`")
MOST_NOT_RUN = {
    "needs root": 14, "needs a provider": 3, "needs a remote host": 6, "is an example": 40, "has a test of its own": 12,
}  # fmt: skip
"""How many blocks may be left out for each reason. Whoever needs more of one says why.

A remote host gives packages (2) and the parts of an image (2), takes traces (1), and is reached by SSH (1).
"""
RUN = {"rfctl", "curl", "redis-cli", "python3", "cat", "chmod", "export"}
"""The programs of commands that tests/cli/test_pages.py types. A block with another one needs a reason not to be run."""
OWN_TESTS = {
    "moving.md": "test_moving.py",
    "how-to/worker-python.md": "how_to/test_workers.py",
    "how-to/worker-node.md": "how_to/test_workers.py",
} | {
    f"recipes/{name}.md": f"recipes/test_{name.replace('-', '_')}.py"
    for name in ("evolution-instances", "langgraph", "n8n", "telegram", "whatsapp-numbers")
}
"""Pages with blocks that another test runs, and the file of that test below tests/cli."""


def list_faults(text: str) -> list[str]:
    """Return what rfctl has against the lines of a page that call it, in blocks and in code style within the text."""
    typed = [command for block in list_blocks_of(text) for command in block.commands]
    named = SPAN.findall(strip_blocks(text))
    faults = [f"{line}: {find_command_fault(line)}" for line in typed if line.startswith("rfctl ")]
    return [
        fault
        for fault in (*faults, *(f"{line}: {find_name_fault(line)}" for line in named))
        if fault[-2:] != ": "
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_and_option_is_there(page: Path) -> None:
    assert list_faults(page.read_text()) == []


@pytest.mark.parametrize(
    "line",
    ["rfctl simulate --cuont 3 --config x.toml", "rfctl dead again --all", "rfctl stast", "rfctl pause"],
)
def test_wrong_command_is_noticed(line: str) -> None:
    assert len(list_faults(f"Text.\n\n```sh\nrfctl stats\n{line}\n```\n")) == 1


@pytest.mark.parametrize("line", ["rfctl stast", "rfctl dead again", "rfctl pause --wyh TEXT"])
def test_wrong_name_in_the_text_is_noticed(line: str) -> None:
    assert len(list_faults(f"Say `{line}` and `rfctl pause`.\n")) == 1


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_line_of_code_is_too_long_to_be_read(page: Path) -> None:
    lines = [line for block in list_blocks_of(page.read_text()) for line in block.code.splitlines()]
    assert [line for line in lines if len(line) > LONGEST_LINE] == []


@pytest.mark.parametrize("page", [*PAGES, *sorted((ROOT / "man").iterdir())], ids=lambda page: page.name)
def test_rfctl_is_installed_from_where_it_is(page: Path) -> None:
    """As long as it is on no index: a stranger may take the name there."""
    assert "rfctl is not on an index yet" in (DOCS / "operations" / "install.md").read_text()
    assert re.findall(r"pip install[^\n]*[' ]rfctl\b[^\n]*", page.read_text()) == []


def test_a_shell_is_cut_off() -> None:
    assert cut_shell("rfctl export acl --user 'a|b' > x.acl") == "rfctl export acl --user 'a|b'"


def test_what_no_test_runs_is_bounded_and_has_a_reason() -> None:
    left_out = [
        (block.reason, f"{page.relative_to(DOCS)}:{block.line}", block.commands)
        for page in sorted(DOCS.rglob("*.md"))
        for block in read_blocks(page)
        if block.commands and block.reason
    ]
    for reason, place, commands in left_out:
        sys.stdout.write(f"{place}: {reason}: {commands}\n")
    counts = Counter(reason for reason, _, _ in left_out)
    assert {reason: count for reason, count in counts.items() if count > MOST_NOT_RUN[reason]} == {}
    assert MOST_NOT_RUN.keys() == REASONS.keys()


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: str(page.relative_to(DOCS)))
def test_what_is_run_needs_no_more_than_a_machine_for_tests_has(page: Path) -> None:
    typed = [line for block in read_blocks(page) if not block.reason for line in block.commands]
    assert [line for line in typed if line.split()[0] not in RUN] == []


@pytest.mark.parametrize("page", sorted((DOCS / "operations").rglob("*.md")), ids=lambda page: page.name)
def test_an_operator_is_not_bidden_to_start_a_second_daemon(page: Path) -> None:
    """Theirs runs under systemd. A comment `before` starts one for the test."""
    shown = re.sub(r"(?m)^<!-- before: .*$", "", page.read_text())
    typed = [line for block in list_blocks_of(shown) if not block.reason for line in block.commands]
    assert [line for line in typed if line.startswith("rfctl serve")] == []


def test_what_is_typed_before_a_block_comes_before_it() -> None:
    blocks = list_blocks_of("# A\n\n<!-- before: rfctl serve -->\n```sh\nrfctl stats\n```\n")
    assert [(block.code, block.line) for block in blocks] == [("rfctl serve\n", 3), ("rfctl stats\n", 4)]


def test_a_test_of_its_own_is_there() -> None:
    pages = {
        str(page.relative_to(DOCS))
        for page in DOCS.rglob("*.md")
        if any(block.reason == "has a test of its own" for block in read_blocks(page))
    }
    assert pages <= set(OWN_TESTS)
    assert [page for page in pages if not (ROOT / "tests" / "cli" / OWN_TESTS[page]).exists()] == []
