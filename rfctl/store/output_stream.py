"""The output stream: merged messages, the consumer groups that read them, and trimming.

Nothing is trimmed ahead of a reader (lua/output/trim.lua). Without any group rfctl knows nothing of the readers, and
nothing is trimmed.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from rfctl.model.delivery import build_message_id
from rfctl.model.stored import Merged, decode_merged
from rfctl.store import replies
from rfctl.store.consumer_groups import ConsumerGroup, read_consumer_groups
from rfctl.store.keys import ShardKeys
from rfctl.store.stream_entry import StreamEntry, split_message_id
from rfctl.store.stream_pages import StreamPages

if TYPE_CHECKING:
    from rfctl.store.connection import Connection

_PAGE = 1000
_ORIGINALS = "messages"
_FIRST_STEP, _LAST_STEP = 100, 3200
"""Entries that one call trims. They may be small or large: it is measured."""
_SHORT_S = 0.003


class OutputStream:
    """The output stream of every shard of one Redis."""

    def __init__(self, connection: Connection, shards: Sequence[ShardKeys]) -> None:
        self._connection = connection
        self._shards = shards

    async def read_after(self, shard: ShardKeys, entry_id: str, limit: int = _PAGE) -> list[Merged]:
        """Return up to `limit` merged messages behind an entry id, oldest first."""
        reply = await self._connection.call("XRANGE", shard.out, f"({entry_id}", "+", "COUNT", limit)
        return [decode_merged(raw_id, replies.fields(flat)) for raw_id, flat in replies.stream_entries(reply)]

    async def read_on(self, shard: ShardKeys, entry_id: str) -> AsyncIterator[Merged]:
        """Yield every merged message of a shard behind an entry id, oldest first, page by page."""
        async for raw_id, flat in StreamPages(self._connection, shard.out).oldest_first(f"({entry_id}"):
            yield decode_merged(raw_id, replies.fields(flat))

    async def read_newest(self, last_ids: dict[ShardKeys, str], limit: int) -> list[Merged]:
        """Return up to `limit` of the newest merged messages of each shard behind these ids, and move the ids on.

        They come without their originals. What is passed over is not read later.
        """
        merged: list[Merged] = []
        for shard, last_id in list(last_ids.items()):
            pages = StreamPages(self._connection, shard.out, measured=_ORIGINALS)
            entries = await pages.newest_behind(last_id, limit)
            if entries:
                last_ids[shard] = entries[0][0]
            for entry_id, flat in entries:
                fields = replies.fields(flat)
                fields.pop(_ORIGINALS, None)
                merged.append(decode_merged(entry_id, fields))
        return merged

    async def last_id(self, shard: ShardKeys) -> str:
        """Return the id of the newest merged message, or `0-0`."""
        reply = await self._connection.call("XREVRANGE", shard.out, "+", "-", "COUNT", 1)
        return next((entry_id for entry_id, _ in replies.stream_entries(reply)), "0-0")

    async def find(self, message_id: str) -> list[tuple[ShardKeys, StreamEntry]]:
        """Return the merged messages of this id, with the shard's number behind it or without. Raises ValueError."""
        wanted_id, number = split_message_id(message_id)
        shards = [shard for shard in self._shards if number is None or shard.number == number]
        answers = await self._connection.calls(
            [("XRANGE", shard.out, wanted_id, wanted_id) for shard in shards]
        )
        return [
            (shard, StreamEntry(entry_id, flat, shard.number))
            for shard, answer in zip(shards, answers, strict=True)
            for entry_id, flat in replies.stream_entries(answer)
        ]

    async def find_delivery(self, delivery_id: str) -> list[tuple[ShardKeys, StreamEntry]]:
        """Return the newest merged message that receivers know by this id. It reads the stream, page by page."""
        for shard in self._shards:
            async for entry_id, flat in StreamPages(
                self._connection, shard.out, measured="messages"
            ).newest_first():
                if StreamEntry(entry_id, flat, shard.number).delivery_id == delivery_id:
                    return await self.find(build_message_id(entry_id, shard.number))
        return []

    async def groups(self, shard: ShardKeys) -> list[ConsumerGroup]:
        """Return the consumer groups of one shard."""
        return await read_consumer_groups(self._connection, shard)

    async def ensure_groups(self, groups: Sequence[str]) -> None:
        """Make these consumer groups on every shard where they are missing; each begins with the oldest entry there."""
        for shard in self._shards:
            await ensure_groups(self._connection, shard, groups)

    async def trim(self, *, retention_s: int, retention_entries: int, groups: Sequence[str] = ()) -> int:
        """Remove entries that every group has acknowledged, and that are too old or too many over all shards.

        Nothing is removed from a shard where one of these `groups` is missing. Each call takes a few ms, so that Redis
        serves others in between. Returns how many entries it removed.
        """
        limits = (retention_s * 1000, math.ceil(retention_entries / len(self._shards)))
        return sum([await self._trim(shard, limits, groups) for shard in self._shards])

    async def _trim(self, shard: ShardKeys, limits: tuple[int, int], groups: Sequence[str]) -> int:
        """Trim one shard. How much one call removes follows from how long the last one took."""
        removed, step, more = 0, _FIRST_STEP, 1
        while more:
            started = time.monotonic()
            reply = await self._connection.run("trim", shard, [shard.out], [*limits, step, *groups])
            count, more = map(replies.integer, replies.array(reply))
            removed += count
            is_short = time.monotonic() - started < _SHORT_S
            step = min(2 * step, _LAST_STEP) if is_short else max(step // 2, _FIRST_STEP)
        return removed


async def ensure_groups(connection: Connection, shard: ShardKeys, groups: Sequence[str]) -> None:
    """Make consumer groups that begin with the oldest entry; an existing group stays as it is."""
    await connection.run("ensure_groups", shard, [shard.out], groups)
