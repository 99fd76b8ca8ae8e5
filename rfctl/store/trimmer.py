"""Keeps the output stream from growing for ever: what every consumer group has acknowledged goes after a while.

Never ahead of a reader (lua/trim.lua); without any group nothing is known of the readers, and nothing goes.
"""

from __future__ import annotations

from collections.abc import Sequence

from rfctl.store.connection import Connection
from rfctl.store.keys import ShardKeys

TRIM_EVERY_S = 5.0


async def trim(
    connection: Connection, shards: Sequence[ShardKeys], *, retention_s: int, retention_entries: int
) -> int:
    """Trim the output stream of every shard once; returns how many entries were removed."""
    removed, more = 0, True
    for shard in shards:
        while more:
            count, more = await connection.run("trim", [shard.out], [retention_s * 1000, retention_entries])
            removed += count
        more = True
    return removed


class Trimmer:
    """Trims when it is asked to. `retention_s` and `retention_entries` may be changed while it runs."""

    def __init__(
        self, connection: Connection, shards: Sequence[ShardKeys], retention_s: int, retention_entries: int
    ) -> None:
        self._connection = connection
        self._shards = shards
        self.retention_s = retention_s
        self.retention_entries = retention_entries

    async def step(self) -> int:
        """Trim once; returns how many entries were removed."""
        return await trim(
            self._connection,
            self._shards,
            retention_s=self.retention_s,
            retention_entries=self.retention_entries,
        )
