"""The room for one person at a time: what is known of them, and how they are forgotten."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from rfctl.store.batches import Batches
from rfctl.store.forgetting import Forgetting
from rfctl.store.history import History, find_history
from rfctl.store.keys import Keyspace
from rfctl.store.paused_sinks import PausedSinks

if TYPE_CHECKING:
    from rfctl.store.connection import Connection


class People:
    """The people of one Redis. Every call raises RfctlError when Redis fails."""

    def __init__(self, connection: Connection, keyspace: Keyspace, batches: Batches) -> None:
        self._connection = connection
        self._keyspace = keyspace
        self._batches = batches

    async def find_history(self, sinks: Sequence[str], phone: str, batch_keys: Sequence[str]) -> History:
        """Return what is known of a phone, wherever it is or was. `batch_keys` are its pending batches."""
        shards = self._keyspace.all()
        paused = await PausedSinks(self._connection, shards[0]).list()
        return await find_history(self._connection, shards, sinks, phone, batch_keys, paused)

    def forgetting(self, phone: str, sinks: Sequence[str], channels: Collection[str]) -> Forgetting:
        """Return the removal of a person; `channels` are the names of the sources."""
        return Forgetting(self._connection, self._keyspace, self._batches, phone, sinks, channels)
