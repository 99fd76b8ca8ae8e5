"""Counters that are gathered here and added to the totals in Redis every other second.

A process that is killed loses the counts of its last seconds. They only say how much of something there is (delivery
statuses, our own echoes); nothing is decided by them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rfctl.store.connection import Connection


class Counters:
    """Counts since the last write, for the hash `totals` of one Redis."""

    def __init__(self, connection: Connection, totals: str) -> None:
        self._connection = connection
        self._totals = totals
        self._counts: Counter[str] = Counter()

    def add(self, counts: Mapping[str, int]) -> None:
        """Count in memory; `write` stores it."""
        self._counts.update(counts)

    async def write(self) -> None:
        """Add the counts to the totals. Raises RfctlError; then the next call writes them."""
        counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            await self._connection.calls([("HINCRBY", self._totals, name, by) for name, by in counts.items()])
        except BaseException:
            self._counts.update(counts)
            raise
