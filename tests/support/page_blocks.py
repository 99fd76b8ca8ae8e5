"""The blocks of code in a page, by their kind."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"```(\w+)[^\n]*\n(.*?)```", re.DOTALL)


def read_blocks(page: str, kind: str) -> list[str]:
    """Return the blocks of a kind, such as `toml`, in the order of the page. Its path counts from the root."""
    return [text for block, text in _BLOCK.findall((ROOT / page).read_text()) if block == kind]


def read_shell_lines(page: str) -> list[str]:
    """Return the lines of all blocks for a shell."""
    return [line for text in read_blocks(page, "sh") for line in text.splitlines()]


def find_line(page: str, start: str) -> str:
    """Return the one line for a shell that begins so."""
    [line] = [line for line in read_shell_lines(page) if line.startswith(start)]
    return line
