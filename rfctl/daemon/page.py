"""The parts of the web page, built for one daemon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rfctl.assembly.batching import build_batch_sizes, find_discarding_rule
from rfctl.assembly.sinks import list_forwarded_sinks
from rfctl.daemon.components import Components
from rfctl.model.stored import Merged
from rfctl.observe.overview import Overview
from rfctl.observe.person import Trail, follow_trail
from rfctl.observe.watching import Watcher
from rfctl.page import Actions, Door, Page, Sampler

_ROWS = 30
"""So many of those who wait have a row: a screen shows no more."""


def build_page(components: Components, measure_silence_ms: Callable[[], int]) -> Page:
    """Return the page of a daemon; it has no routes where http.page is off.

    `measure_silence_ms` says how long ago Redis served this daemon last.
    """
    receiver, eyes = components.receiver, _Eyes(components)
    actions = Actions(components.store, eyes.list_sinks, components.batcher.list_split_fields)
    return Page(
        Door(receiver.gate, components.store.ended_sessions),
        Sampler(eyes.look, measure_silence_ms=measure_silence_ms), actions, eyes.find_trail,
        receiver.rejections, receiver.budget,
        mode=components.settings.http.page_in_force,
    )  # fmt: skip


class _Eyes:
    """What the page sees by the settings of this moment: a reload changes them."""

    def __init__(self, components: Components) -> None:
        self._components = components
        self._settings = components.settings
        self._watcher = Watcher(
            components.store, components.list_sinks(), limit=_ROWS, **self._list_options()
        )

    def _list_options(self) -> dict[str, Any]:
        return {
            "rights": self._components.rights,
            "allow_eviction": self._settings.redis.allow_eviction,
            "sizes": build_batch_sizes(self._settings),
        }

    def list_sinks(self) -> list[str]:
        """Return the sinks that rfctl delivers to."""
        return list(list_forwarded_sinks(self._components.settings))

    async def look(self) -> Overview:
        """Return what there is now. Raises RfctlError."""
        if self._settings is not self._components.settings:
            self._settings = self._components.settings
            self._watcher.reconfigure(self._components.list_sinks(), **self._list_options())
        return await self._watcher.look()

    async def find_trail(self, name: str) -> Trail:
        """Return everything of a phone or a batch key. Raises RfctlError."""
        settings = self._components.settings

        def find_rule(merged: Merged) -> str:
            return find_discarding_rule(settings, merged)

        return await follow_trail(
            self._components.store, name, None, sinks=self.list_sinks(), split_by=settings.batching.split_by,
            find_rule=find_rule,
        )  # fmt: skip
