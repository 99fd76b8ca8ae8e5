"""Collects the merged messages of one run from the output stream."""

from __future__ import annotations

from collections.abc import Iterable

from rfctl.model.stored import Merged
from rfctl.store import Store


class Follower:
    """Reads on from where the output stream ended when it was opened; each `read_new` is one step.

    `merged` are the batches with at least one message of the run.
    """

    def __init__(self, store: Store, message_ids: Iterable[str], last_ids: list[str]) -> None:
        self.merged: list[Merged] = []
        self._store = store
        self._ids = frozenset(message_ids)
        self._missing = set(self._ids)
        self._last_ids = last_ids

    @classmethod
    async def open(cls, store: Store, message_ids: Iterable[str]) -> Follower:
        """Open it before the first message is sent. Raises RfctlError."""
        return cls(store, message_ids, [await store.output.last_id(shard) for shard in store.shards])

    @property
    def is_complete(self) -> bool:
        """Whether every message of the run is handed over."""
        return not self._missing

    async def read_new(self) -> int:
        """Read what is new, and return how many messages of the run are in it for the first time. Raises RfctlError."""
        count = 0
        for number, shard in enumerate(self._store.shards):
            async for merged in self._store.output.read_on(shard, self._last_ids[number]):
                self._last_ids[number] = merged.id
                count += self._take(merged)
        return count

    def _take(self, merged: Merged) -> int:
        ids = self._ids.intersection(message.messageId for message in merged.messages)
        if ids:
            self.merged.append(merged)
        before = len(self._missing)
        self._missing -= ids
        return before - len(self._missing)
