"""Fits a screen into a terminal: every part is cut to what there is room for, and says how much it leaves out. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

_TONES = frozenset(map(chr, range(0x1F3FB, 0x1F400)))
Item = list["Text"]
"""What is shown as a whole or not at all: one line, or a few."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a screen: lines that stay, and items of which as many are shown as there is room for.

    `least` is how many items have room before a part above grows. `beyond` counts items that are not even here.
    `heading` stands over the items, if there is one. A `head` alone must say how many there are.
    """

    head: Sequence[Text]
    items: Sequence[Item] = field(default_factory=list)
    least: int = 0
    beyond: int = 0
    heading: Sequence[Text] = ()

    def height(self, count: int) -> int:
        """Return how many lines it takes with so many of its items."""
        heading = len(self.heading) if count else 0
        return len(self.head) + heading + sum(map(len, self.items[:count])) + (self.count_hidden(count) > 0)

    def count_hidden(self, count: int) -> int:
        """Return how many items a last line tells of, with so many shown."""
        return len(self.items) - count + self.beyond if count or not self.head else 0


def measure_least(parts: Sequence[Part]) -> int:
    """Return how many lines the parts take with as many items as each needs."""
    return _height(parts, [min(part.least, len(part.items)) for part in parts])


def fit(parts: Sequence[Part], width: int, height: int) -> list[Text]:
    """Return at most `height` lines, none wider than `width`. Parts above go before parts below."""
    kept, counts = _choose(parts, height)
    gaps = height - _height(kept, counts)
    lines: list[Text] = []
    for place, part in enumerate(kept):
        if place and gaps >= len(kept) - 1:
            lines.append(_text(""))
        lines += _draw(part, counts[place])
    for line in lines:
        cut(line, width)
    return lines[:height]


def _choose(parts: Sequence[Part], height: int) -> tuple[list[Part], list[int]]:
    """Return the parts that there is room for, and how many items of each: first what each needs, then what is left."""
    kept = list(parts)
    counts = [min(part.least, len(part.items)) for part in kept]
    while len(kept) > 1 and _height(kept, counts) > height:
        if counts[len(kept) - 1]:
            counts[len(kept) - 1] -= 1
        else:
            kept.pop()
    for place, part in enumerate(kept):
        while counts[place] < len(part.items) and _height(kept, _grown(counts, place)) <= height:
            counts[place] += 1
    if len(kept) > 1 and kept[-1].items and not counts[len(kept) - 1]:
        return _choose(kept[:-1], height)  # a heading alone says nothing, and its room is of use above
    return kept, counts


def _grown(counts: Sequence[int], place: int) -> list[int]:
    return [count + (number == place) for number, count in enumerate(counts)]


def _height(parts: Sequence[Part], counts: Sequence[int]) -> int:
    return sum(part.height(count) for part, count in zip(parts, counts, strict=False))


def _draw(part: Part, count: int) -> list[Text]:
    heading = part.heading if count else ()
    lines = [*part.head, *heading, *(line for item in part.items[:count] for line in item)]
    hidden = part.count_hidden(count)
    return [*lines, _text(f"… {hidden} more", "dim")] if hidden else lines


def _text(line: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(line, style=style)


def cut(line: Text, width: int) -> None:
    """Cut a line that is wider than `width`; terminals do not agree how wide an emoji with a skin tone is."""
    line.truncate(width, overflow="ellipsis")
    if tones := count_tones(line.plain):
        line.truncate(max(0, width - 2 * tones), overflow="ellipsis")


def count_tones(text: str) -> int:
    """Return how many marks of a skin tone are in a text: each may be two cells wider than it counts."""
    return sum(char in _TONES for char in text)


def align(rows: Sequence[Sequence[Text]], right: frozenset[int]) -> list[Text]:
    """Return a line for each row, with its columns under one another; the last one may be of any length."""
    widths = [max(cell.cell_len for cell in column) for column in zip(*rows, strict=True)]
    return [_join(row, widths, right) for row in rows]


def _join(row: Sequence[Text], widths: Sequence[int], right: frozenset[int]) -> Text:
    line = _text("")
    for place, (cell, width) in enumerate(zip(row, widths, strict=True)):
        gap = " " * (width - cell.cell_len)
        is_last = place == len(widths) - 1
        line.append(gap if place in right else "")
        line.append_text(cell)
        line.append("" if is_last else ("" if place in right else gap) + "  ")
    line.rstrip()
    return line
