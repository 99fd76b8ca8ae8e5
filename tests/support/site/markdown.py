"""Small pieces of Markdown: a cell, a table, a block of code, and the address of a heading."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def write_cell(text: str) -> str:
    """Return a text as it stands in a cell of a table: on one line, and without a bar that ends the cell."""
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip()


def write_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    lines = [head, ["---"] * len(head), *([write_cell(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write_code(kind: str, text: str) -> str:
    """Return a block of code."""
    return f"```{kind}\n{text.rstrip()}\n```\n"


def name_anchor(heading: str) -> str:
    """Return the address of a heading within its page, as the site and code hosts make it."""
    plain = re.sub(r"[`*]|\]\([^)]*\)|[\[]", "", heading)
    return re.sub(r"[^\w -]", "", plain.lower()).strip().replace(" ", "-")
