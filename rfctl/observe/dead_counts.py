"""Whose the dead letters are: each is looked at, so only where there are few, and again when there are more or fewer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rfctl.observe.snapshot import Snapshot
from rfctl.store import Store

_MOST = 500
"""Among so many dead letters each is looked at."""


class DeadCounts:
    """Counts the dead letters of one Redis by sink and by group of workers, for somebody who may ask again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._counts: Mapping[str, int] | None = {}
        self._sum = 0

    async def add_to(self, snapshot: Snapshot) -> Snapshot:
        """Return the snapshot with the counts. Raises RfctlError when Redis fails."""
        count = snapshot.dead
        if count != self._sum:
            few = 0 < count <= _MOST
            self._counts = await self._store.dead_letters.count_by_sink() if few else None if count else {}
            self._sum = count
        return replace(snapshot, dead_by=self._counts)
