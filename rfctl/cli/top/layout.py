"""How the lines of the screen are shared between its parts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wish:
    """What a part has and needs: `lines` that it could fill, `least` of them first, and `head` lines with the first."""

    lines: int
    least: int
    head: int = 1


def share(height: int, wishes: Sequence[Wish]) -> list[int]:
    """Return how many lines of each part are shown. Parts in front go first: each gets its least, then what is left.

    A part that gets no line has no head either.
    """
    counts = [0] * len(wishes)
    rest = height
    for is_first in (True, False):
        for place, wish in enumerate(wishes):
            wanted = min(wish.lines, wish.least) if is_first else wish.lines
            head = 0 if counts[place] else wish.head
            more = min(wanted - counts[place], rest - head)
            if more > 0:
                counts[place] += more
                rest -= more + head
    return counts


def scroll(count: int, shown: int, cursor: int | None) -> int:
    """Return which of `count` lines is the first of those `shown`, so that the cursor is among them."""
    if cursor is None or cursor < shown:
        return 0
    return min(cursor - shown + 1, max(0, count - shown))
