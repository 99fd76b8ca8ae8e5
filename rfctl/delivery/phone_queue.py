"""The queue of one batch key: what was read for it and is not finished, and how many bytes that is."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from rfctl.delivery.budget import ByteBudget
from rfctl.store import StreamEntry

_MAX_DEPTH = 8
"""Later messages of a phone wait in Redis, so that nobody fills the memory."""


@dataclass(slots=True)
class PhoneQueue:
    """One batch key: its entries that were read and not yet attempted, and the task that delivers them.

    `current` is the entry at hand, `following` the id of the next one that waits in Redis, `bytes` the size of all.
    """

    batch_key: str
    budget: ByteBudget
    entries: deque[StreamEntry] = field(default_factory=deque)
    current: StreamEntry | None = None
    following: str = ""
    bytes: int = 0
    task: asyncio.Task[None] | None = None

    def append(self, entry: StreamEntry) -> bool:
        """Append an entry. Returns False when the queue is as deep as it may be."""
        if len(self.entries) >= _MAX_DEPTH:
            return False
        self.entries.append(entry)
        self._count(entry.size)
        return True

    def begin(self, entry: StreamEntry | None = None) -> StreamEntry:
        """Make an entry the current one: one that was fetched, or the next of those that were read."""
        if entry is None:
            entry = self.entries.popleft()
        else:
            self._count(entry.size)
        self.current = entry
        return entry

    def finish(self, entry: StreamEntry) -> None:
        """Forget the current entry: what became of it is in Redis."""
        if self.current is entry:
            self.current = None
            self._count(-entry.size)

    def list_unfinished(self) -> list[StreamEntry]:
        """Return the current entry and those behind it."""
        return [*([self.current] if self.current else []), *self.entries]

    def clear(self) -> None:
        """Forget everything: it is in Redis."""
        self.entries.clear()
        self.current = None
        self._count(-self.bytes)

    def _count(self, count: int) -> None:
        self.bytes += count
        if count > 0:
            self.budget.take(count)
        else:
            self.budget.give_back(-count)


def group_ids(entries: Sequence[StreamEntry]) -> dict[str, list[str]]:
    """Return the ids of entries by batch key, in their order."""
    ids: dict[str, list[str]] = {}
    for entry in entries:
        ids.setdefault(entry.batch_key, []).append(entry.id)
    return ids
