"""The room for one person at a time: what is known of them, and how they are forgotten."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from rfctl.store.batches import Batches
from rfctl.store.forgetting import Forgetting
from rfctl.store.history import History, find_history
from rfctl.store.keys import Keyspace
from rfctl.store.paused_sinks import PausedSinks
from rfctl.store.person import Person, find_person
from rfctl.store.whereabouts import Whereabouts, find_whereabouts

if TYPE_CHECKING:
    from rfctl.store.connection import Connection


class People:
    """The people of one Redis. Every call raises RfctlError when Redis fails."""

    def __init__(self, connection: Connection, keyspace: Keyspace, batches: Batches) -> None:
        self._connection = connection
        self._keyspace = keyspace
        self._batches = batches
        self._shards = keyspace.all()
        self._paused_sinks = PausedSinks(connection, self._shards[0])

    async def find_history(self, sinks: Sequence[str], phone: str, batch_keys: Sequence[str]) -> History:
        """Return what is known of a phone, wherever it is or was. `batch_keys` are its pending batches."""
        paused = await self._paused_sinks.list()
        return await find_history(self._connection, self._shards, sinks, phone, batch_keys, paused)

    async def find_person(self, sinks: Sequence[str], phone: str, batch_keys: Sequence[str]) -> Person:
        """Return where everything of a phone is. `batch_keys` are its pending batches."""
        paused = await self._paused_sinks.list()
        return await find_person(self._connection, self._shards, sinks, phone, batch_keys, paused)

    async def find_whereabouts(self, phone: str, sinks: Sequence[str]) -> Whereabouts:
        """Return every place where something of a phone is; `sinks` are those that rfctl delivers to."""
        batch_keys = await self._batches.find_batches(phone)
        paused = await self._paused_sinks.list()
        return await find_whereabouts(self._connection, self._shards, sinks, phone, batch_keys, paused)

    def forgetting(self, phone: str, sinks: Sequence[str], channels: Collection[str]) -> Forgetting:
        """Return the removal of a person; `channels` are the names of the sources."""
        return Forgetting(self._connection, self._keyspace, self._batches, phone, sinks, channels)
