"""The blocks of code in a page, by their kind."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.site.blocks import split_commands

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"```(\w+)[^\n]*\n(.*?)```", re.DOTALL)


def read_blocks(page: str, kind: str) -> list[str]:
    """Return the blocks of a kind, such as `toml`, in the order of the page. Its path counts from the root."""
    return [text for block, text in _BLOCK.findall((ROOT / page).read_text()) if block == kind]


def read_shell_lines(page: str) -> list[str]:
    """Return the commands of all blocks for a shell, each with the lines on which it goes on."""
    return [command for text in read_blocks(page, "sh") for command in split_commands(text)]


def find_line(page: str, start: str) -> str:
    """Return the only command for a shell that begins so."""
    [line] = [line for line in read_shell_lines(page) if line.startswith(start)]
    return line
