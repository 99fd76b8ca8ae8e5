"""Whoever watches asks for an overview again and again: each second costs little, however much is pending."""

from __future__ import annotations

from collections.abc import Sequence

from rfctl.observe.health import findings
from rfctl.observe.overview import Overview
from rfctl.observe.overviews import build_overview
from rfctl.observe.snapshot import take_snapshot
from rfctl.store import ConfiguredSink, Store
from rfctl.store.rights import Rights


class Watcher:
    """Looks at one Redis for somebody who watches. `limit` is how many of those who wait have a row."""

    def __init__(
        self,
        store: Store,
        sinks: Sequence[ConfiguredSink],
        *,
        limit: int = 20,
        rights: Rights | None = None,
        allow_eviction: bool = False,
    ) -> None:
        self._store = store
        self._sinks = sinks
        self._limit = limit
        self._rights = rights
        self._allow_eviction = allow_eviction

    async def look(self) -> Overview:
        """Return what there is now. Raises RfctlError when Redis fails."""
        snapshot = await take_snapshot(
            self._store,
            self._sinks,
            limit=self._limit,
            rights=self._rights,
            allow_eviction=self._allow_eviction,
        )
        return build_overview(snapshot, findings(snapshot))
