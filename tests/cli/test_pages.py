"""Every command of the pages in docs/, typed in the order of its page, with the files and outputs that the page shows."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers import RedisServer
from tests.support.site.blocks import Block, read_blocks
from tests.support.site.navigation import DOCS
from tests.support.site.reader import find_missing, reading

QUICK = ("tutorial/telegram-bot.md",)
"""These pages are followed in each run of the tests, and the others in the long one."""


def is_run(block: Block) -> bool:
    return bool(block.commands) and not block.reason


def list_pages() -> list[Any]:
    """Return each page with a command that is run."""
    names = [
        str(path.relative_to(DOCS))
        for path in sorted(DOCS.rglob("*.md"))
        if any(map(is_run, read_blocks(path)))
    ]
    return [pytest.param(name, marks=() if name in QUICK else pytest.mark.long) for name in names]


@pytest.mark.parametrize("name", list_pages())
def test_page_works_as_it_is_printed(name: str, server: RedisServer, tmp_path: Path) -> None:
    blocks = read_blocks(DOCS / name)
    needs = {
        program
        for block in blocks
        if is_run(block)
        for program in ("redis-cli", "curl", "openssl")
        if any(program in line for line in block.commands)
    }
    for program in sorted(needs):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program} (Debian's redis-tools, curl and openssl)")
    is_embedded = any('url = "embedded"' in block.code for block in blocks if block.title)
    with reading(tmp_path, server, is_embedded=is_embedded) as reader:
        for block in blocks:
            reader.follow(block)


def test_quick_pages_are_there() -> None:
    assert set(QUICK) <= {str(page.values[0]) for page in list_pages()}


@pytest.mark.parametrize(
    ("expected", "printed", "missing"),
    [
        ("3 sent, 3 handed over", "12 sent, 7 handed  over\n", ""),
        ("3 sent", "3 lost\n", "3 sent"),
        ("a … c", "a b c", ""),
        ("b\na", "a\nb\n", "a"),
    ],
)
def test_output_that_differs_is_noticed(expected: str, printed: str, missing: str) -> None:
    assert find_missing(expected, printed) == missing


def test_command_that_fails_is_noticed(server: RedisServer, tmp_path: Path) -> None:
    with (
        reading(tmp_path, server, is_embedded=False) as reader,
        pytest.raises(AssertionError, match="no-such"),
    ):
        reader.type("rfctl config explain no-such.setting")
