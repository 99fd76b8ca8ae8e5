"""Counters that need no write of their own: gathered here, and added to the totals in Redis every other second.

A process that is killed takes what it has not written yet along: these numbers tell how much of something
there is (delivery statuses, our own echoes), and nothing is decided by them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from rfctl.store.connection import Connection


class Counters:
    """Counts since the last write."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, counts: Mapping[str, int]) -> None:
        """Count something."""
        self._counts.update(counts)

    async def write(self, connection: Connection, totals: str) -> None:
        """Add what was counted to the hash `totals`; what cannot be written now is written the next time."""
        counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            await connection.calls([("HINCRBY", totals, name, by) for name, by in counts.items()])
        except BaseException:
            self._counts.update(counts)
            raise
