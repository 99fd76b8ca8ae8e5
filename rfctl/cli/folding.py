"""Folds a text for a terminal, and never within a command: a shell takes each pasted line for one.

Nothing here knows programs by name. What stands in backquotes stays on a line. A cure, which may name its commands without
them, is folded at the ends of its clauses alone, as no command goes on behind one. What is wider than the terminal then
stands on a line of its own: the terminal goes on with it, and a shell gets it whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

_CODE = r"`[^`\n]*`"
_QUOTED = rf"""{_CODE}|(?<!\w)'[^'\n]*'|(?<!\w)"[^"\n]*\""""
_WORD = re.compile(rf"\s*(?:{_CODE}|\S)+\s*")
_CLAUSE = re.compile(rf"(?:{_QUOTED}|(?![,;:·]\s|\s\().)*(?:[,;:·]\s+|\s+|$)")


def fold(text: Text, width: int, cure_at: int | None = None) -> list[Text]:
    """Return the lines of a text, none wider than `width` cells but for what is not to be divided.

    `cure_at` is where a cure begins in it, characters; None where there is none.
    """
    lines: list[Text] = []
    begun = 0
    for line in text.split("\n", allow_blank=True):
        words = len(line) if cure_at is None else min(max(cure_at - begun, 0), len(line))
        lines += line.divide(_list_breaks(line.plain, width, words))
        begun += len(line) + 1
    for line in lines:
        line.rstrip()
    return lines


def _list_breaks(line: str, width: int, words: int) -> list[int]:
    """Return where the lines of a text begin, but for the first."""
    from rich.cells import cell_len, chop_cells

    breaks, used = [], 0
    for start, end, is_whole in _list_pieces(line, words):
        size = cell_len(line[start:end].rstrip())
        if used and used + size > width:
            breaks.append(start)
            used = 0
        if size > width and not is_whole:
            place = start
            for part in chop_cells(line[start:end], width)[:-1]:
                place += len(part)
                breaks.append(place)
            used = cell_len(line[place:end])
            continue
        used += cell_len(line[start:end])
    return breaks


def _list_pieces(line: str, words: int) -> Iterator[tuple[int, int, bool]]:
    """Yield each piece with the gap behind it: its start, its end, and whether it is whole. A cure begins behind `words`."""
    for word in _WORD.finditer(line, 0, words):
        yield word.start(), word.end(), "`" in word[0]
    for clause in _CLAUSE.finditer(line, words):
        if clause[0]:
            yield clause.start(), clause.end(), True
