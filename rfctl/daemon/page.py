"""The parts of the web page, built for one daemon."""

from __future__ import annotations

from rfctl.assembly.batching import find_discarding_rule
from rfctl.assembly.sinks import list_forwarded_sinks
from rfctl.daemon.components import Components
from rfctl.model.stored import Merged
from rfctl.observe.overview import Overview
from rfctl.observe.person import Trail, follow_trail
from rfctl.observe.watching import Watcher
from rfctl.page import Actions, Door, Page, Sampler
from rfctl.store import ConfiguredSink

_ROWS = 30
"""So many of those who wait have a row: a screen shows no more."""


def build_page(components: Components) -> Page:
    """Return the page of a daemon; it has no routes where http.page is off."""
    receiver, eyes = components.receiver, _Eyes(components)
    actions = Actions(components.store, eyes.list_sinks, components.batcher.list_split_fields)
    return Page(
        Door(receiver.gate), Sampler(eyes.look), actions, eyes.find_trail, receiver.rejections, receiver.budget,
        mode=components.settings.http.page_in_force,
    )  # fmt: skip


class _Eyes:
    """What the page sees by the settings of this moment: a reload changes them."""

    def __init__(self, components: Components) -> None:
        self._components = components
        self._sinks: list[ConfiguredSink] = []
        self._watcher: Watcher | None = None

    def list_sinks(self) -> list[str]:
        """Return the sinks that rfctl delivers to."""
        return list(list_forwarded_sinks(self._components.settings))

    async def look(self) -> Overview:
        """Return what there is now. Raises RfctlError."""
        components, sinks = self._components, self._components.list_sinks()
        if self._watcher is None or sinks != self._sinks:
            self._sinks = sinks
            self._watcher = Watcher(
                components.store, sinks, limit=_ROWS, rights=components.rights,
                allow_eviction=components.settings.redis.allow_eviction,
            )  # fmt: skip
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
