"""Whoever watches asks for an overview again and again: each second costs little, however much is pending."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from rfctl.batching.batch_sizes import BatchSizes
from rfctl.observe.health import findings
from rfctl.observe.last_lines import LastLines
from rfctl.observe.overview import Overview
from rfctl.observe.overviews import Beside, build_overview
from rfctl.observe.snapshot import Snapshot, refresh_snapshot, take_snapshot
from rfctl.store import ConfiguredSink, Store
from rfctl.store.rights import Rights

_WHOLE_EVERY_S = 5.0
"""What is dear to read is read so often: see `refresh_snapshot`."""
_MOST_DEAD = 500
"""Among so many dead letters each is looked at to see whose it is."""
_RIGHTS_EVERY_S = 60.0
"""To ask for each right takes a call."""
_NO_RULES = BatchSizes()


class Watcher:
    """Looks at one Redis for somebody who watches. `limit` is how many of those who wait have a row.

    `sizes` tells how many messages a batch may have. `clock` counts seconds.
    """

    def __init__(
        self,
        store: Store,
        sinks: Sequence[ConfiguredSink],
        *,
        sizes: BatchSizes = _NO_RULES,
        limit: int = 20,
        rights: Rights | None = None,
        allow_eviction: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._sinks = sinks
        self.limit = limit
        """How many rows the next look has."""
        self._rights = rights
        self._allow_eviction = allow_eviction
        self._sizes = sizes
        self._dead: Mapping[str, int] | None = {}
        self._dead_count = 0
        self._clock = clock
        self._last_lines = LastLines(store)
        self._whole: Snapshot | None = None
        self._whole_at = self._rights_at = float("-inf")

    def reconfigure(
        self,
        sinks: Sequence[ConfiguredSink],
        *,
        sizes: BatchSizes,
        rights: Rights | None,
        allow_eviction: bool,
    ) -> None:
        """Look for other sinks, sizes and rights from now on."""
        self._sinks, self._sizes = sinks, sizes
        self._rights, self._allow_eviction = rights, allow_eviction
        self._whole, self._rights_at = None, float("-inf")

    async def look(self) -> Overview:
        """Return what there is now. Raises RfctlError when Redis fails; then the next look reads everything."""
        whole, self._whole = self._whole, None
        if whole is None or self._clock() - self._whole_at >= _WHOLE_EVERY_S:
            snapshot = whole = await self._take_whole(whole)
        else:
            snapshot = await refresh_snapshot(whole, self._store, self._sinks, limit=self.limit)
        self._whole = whole
        last = await self._last_lines.read(snapshot.pending.next_due)
        dead = await self._count_dead(snapshot.dead)
        return build_overview(snapshot, findings(snapshot), Beside(last, dead, self._sizes))

    async def _count_dead(self, count: int) -> Mapping[str, int] | None:
        """Return the dead letters by sink, counted again when there are more or fewer; None for too many of them."""
        if count != self._dead_count:
            few = 0 < count <= _MOST_DEAD
            self._dead = await self._store.dead_letters.count_by_sink() if few else None if count else {}
            self._dead_count = count
        return self._dead

    async def _take_whole(self, earlier: Snapshot | None) -> Snapshot:
        now_s = self._clock()
        are_rights_due = earlier is None or now_s - self._rights_at >= _RIGHTS_EVERY_S
        snapshot = await take_snapshot(
            self._store,
            self._sinks,
            limit=self.limit,
            rights=self._rights if are_rights_due else None,
            allow_eviction=self._allow_eviction,
        )
        self._whole_at = now_s
        if earlier is not None and not are_rights_due:
            return replace(snapshot, missing_rights=earlier.missing_rights)
        self._rights_at = now_s
        return snapshot
