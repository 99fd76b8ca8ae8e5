"""Keeps the output stream from growing for ever: what every consumer group has acknowledged goes after a while.

Never ahead of a reader (lua/trim.lua); without any group nothing is known of the readers, and nothing goes.
"""

from __future__ import annotations

from collections.abc import Sequence

from rfctl.store.connection import Connection
from rfctl.store.keys import Partition

TRIM_EVERY_S = 5.0


async def trim(
    connection: Connection, partitions: Sequence[Partition], *, keep_s: int, keep_entries: int
) -> int:
    """Trim the output stream of every shard once; returns how many entries were removed."""
    removed, more = 0, True
    for shard in partitions:
        while more:
            count, more = await connection.run("trim", [shard.out], [keep_s * 1000, keep_entries])
            removed += count
        more = True
    return removed


class Trimmer:
    """Trims when it is asked to. `keep_s` and `keep_entries` may be changed while it runs."""

    def __init__(
        self, connection: Connection, partitions: Sequence[Partition], keep_s: int, keep_entries: int
    ) -> None:
        self._connection = connection
        self._partitions = partitions
        self.keep_s = keep_s
        self.keep_entries = keep_entries

    async def step(self) -> int:
        """Trim once; returns how many entries were removed."""
        return await trim(
            self._connection, self._partitions, keep_s=self.keep_s, keep_entries=self.keep_entries
        )
