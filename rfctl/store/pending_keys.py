"""Counts the pending batches, and lists their keys page by page: there may be millions, and more come meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from rfctl.store import replies
from rfctl.store.keys import ShardKeys
from rfctl.store.scans import scan_members

if TYPE_CHECKING:
    from rfctl.store.connection import Connection


class PendingKeys:
    """The keys of the pending batches of one Redis, over all shards."""

    def __init__(self, connection: Connection, shards: Sequence[ShardKeys]) -> None:
        self._connection = connection
        self._shards = shards

    async def count(self) -> int:
        """Return how many batches are pending."""
        return sum(
            map(
                replies.integer,
                await self._connection.calls([("ZCARD", shard.due) for shard in self._shards]),
            )
        )

    async def iterate(self) -> AsyncIterator[str]:
        """Yield the key of each batch of this moment, in no order; the caller may remove them meanwhile.

        It goes by cursor. A key may come twice, and a batch that begins meanwhile may come or not. So it ends, however
        many messages come in.
        """
        for shard in self._shards:
            async for page in scan_members(self._connection, shard.due):
                for batch_key in page:
                    yield batch_key
