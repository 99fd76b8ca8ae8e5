"""What takes a scan or many calls to find out: it is read for an operator who asks, and no daemon does it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from rfctl.store.server_facts import ServerFacts, read_server_facts
from rfctl.store.stray_keys import StrayKeys, find_stray_keys
from rfctl.store.taken_keys import TakenKey, find_taken_keys
from rfctl.store.worker_entries import WorkerEntry, list_again, read_untried_entries, read_worker_entries

if TYPE_CHECKING:
    from rfctl.store.connection import Connection
    from rfctl.store.consumer_groups import ConsumerGroup
    from rfctl.store.keys import Keyspace


class Survey:
    """Looks at one Redis more closely than a snapshot does, and writes nothing."""

    def __init__(self, connection: Connection, keyspace: Keyspace) -> None:
        self._connection = connection
        self._keyspace = keyspace

    async def find_stray_keys(self, sinks: Collection[str], groups: Collection[str]) -> StrayKeys:
        """Return the keys that nobody uses; `sinks` are those of the settings and of the living daemons. It scans.

        `groups` are those of workers that the settings name.
        """
        return await find_stray_keys(self._connection, self._keyspace, sinks, groups=groups)

    async def find_taken_keys(self, sinks: Collection[str]) -> tuple[TakenKey, ...]:
        """Return the keys of ours that another program has written; `sinks` as above."""
        return await find_taken_keys(self._connection, self._keyspace.all(), sorted(sinks))

    async def read_worker_entries(self, groups: Sequence[ConsumerGroup]) -> list[WorkerEntry]:
        """Return the oldest entries that workers of these groups have not acknowledged, also of what they got again."""
        again = list_again(self._keyspace.all(), groups)
        return await read_worker_entries(self._connection, [*groups, *again])

    async def find_untried(self, sinks: Sequence[str], groups: Sequence[ConsumerGroup]) -> list[WorkerEntry]:
        """Return the oldest entries that these sinks have read, and have neither tried nor put off."""
        return await read_untried_entries(self._connection, self._keyspace.all(), sinks, groups)

    async def read_server_facts(self) -> ServerFacts:
        """Return what the server says of itself now, how fast it answers, and how its clock stands."""
        return await read_server_facts(self._connection)
