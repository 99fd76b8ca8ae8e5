"""Requests to addresses that nobody serves, where somebody meant a source: a name that was mistyped, or taken out.

A stranger decides how many such requests come, and to where. So a few addresses are kept, those asked for most often, and
each is short. What does not look like the address of a source is left out.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from rfctl.store import UnknownPath

_MOST = 16
_SHOWN = 3
_CHARS = 64
_WINDOW_S = 600.0
_ROOT = "/webhook/"
_ALIKE = 0.75
"""By how much a path beside /webhook/ must be like the name of a source, from 0 to 1. Scanners ask for anything."""
_RATHER_ALIKE = 0.5


@dataclass(slots=True)
class _Asked:
    """How often an address was asked for, and when last, s."""

    count: int
    last_s: float


class UnknownPaths:
    """The addresses of the last ten minutes. `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._asked: dict[str, _Asked] = {}

    def count(self, path: str) -> None:
        """Count a request. Where there is no room, the address that was asked for least often goes."""
        short, now = _shorten(path), self._clock()
        asked = self._asked.get(short)
        if asked is not None:
            asked.count, asked.last_s = asked.count + 1, now
            return
        if len(self._asked) >= _MOST:
            del self._asked[min(self._asked, key=lambda other: self._asked[other].count)]
        self._asked[short] = _Asked(1, now)

    def forget(self) -> None:
        """Forget all of them."""
        self._asked.clear()

    def list_meant(self, sources: Collection[str]) -> tuple[UnknownPath, ...]:
        """Return the addresses by which somebody meant a source, the most frequent first, with the nearest of these."""
        now = self._clock()
        for path in [path for path, asked in self._asked.items() if now - asked.last_s > _WINDOW_S]:
            del self._asked[path]
        counted = sorted(self._asked.items(), key=lambda item: -item[1].count)
        meant = [
            UnknownPath(path, asked.count, nearest)
            for path, asked in counted
            if (nearest := _find_nearest(path, sources)) or path.startswith(_ROOT)
        ]
        return tuple(meant[:_SHOWN])


def _shorten(path: str) -> str:
    """Return the first two parts of a path: what follows may be a secret, or a person."""
    return "/".join(path.split("/")[:3])[:_CHARS]


def _find_nearest(path: str, sources: Collection[str]) -> str:
    """Return the source whose name is most like the last part of a path, "" if none is."""
    name = path.rpartition("/")[2]
    cutoff = _RATHER_ALIKE if path.startswith(_ROOT) else _ALIKE
    return next(iter(difflib.get_close_matches(name, sources, n=1, cutoff=cutoff)), "")
