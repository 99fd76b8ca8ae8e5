"""The output stream: merged messages, the consumer groups that read them, and what may be trimmed.

Nothing is trimmed ahead of a reader (lua/output/trim.lua). Without any group nothing is known of the readers, and
nothing is trimmed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from rfctl.errors import RfctlError
from rfctl.model.stored import Merged, decode_merged
from rfctl.store.connection import Connection, pairs
from rfctl.store.keys import ShardKeys
from rfctl.store.stream_entry import StreamEntry, split_id

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class ConsumerGroup:
    """A consumer group of one shard's output stream.

    `lag` counts entries not yet read (None: Redis cannot say), `pending` those read and not acknowledged. `idle_ms` is
    how long ago a consumer last asked for more; None when there is no consumer.
    """

    stream: str
    name: str
    lag: int | None
    pending: int
    idle_ms: int | None = None
    last_delivered_id: str = "0-0"


class OutputStream:
    """The output stream of every shard of one Redis."""

    def __init__(self, connection: Connection, shards: Sequence[ShardKeys]) -> None:
        self._connection = connection
        self._shards = shards

    async def read_after(self, shard: ShardKeys, entry_id: str, limit: int = _PAGE) -> list[Merged]:
        """Return up to `limit` merged messages behind an entry id, oldest first."""
        entries = await self._connection.call("XRANGE", shard.out, f"({entry_id}", "+", "COUNT", limit)
        return [decode_merged(raw_id, fields) for raw_id, fields in entries]

    async def read_since(self, since_ms: int) -> AsyncIterator[Merged]:
        """Yield every merged message since then (Unix ms), shard by shard, oldest first."""
        for shard in self._shards:
            after = f"{since_ms}-0"
            while page := await self.read_after(shard, after):
                for merged in page:
                    yield merged
                after = page[-1].id

    async def last_id(self, shard: ShardKeys) -> str:
        """Return the id of the newest merged message, or `0-0`."""
        newest = await self._connection.call("XREVRANGE", shard.out, "+", "-", "COUNT", 1)
        return newest[0][0].decode() if newest else "0-0"

    async def find(self, message_id: str) -> list[tuple[ShardKeys, StreamEntry]]:
        """Return the merged messages of this id, with the shard's number behind it or without. Raises ValueError."""
        entry_id, number = split_id(message_id)
        shards = [shard for shard in self._shards if number is None or shard.number == number]
        answers = await self._connection.calls(
            [("XRANGE", shard.out, entry_id, entry_id) for shard in shards]
        )
        return [
            (shard, StreamEntry(raw_id.decode(), fields, shard.number))
            for shard, entries in zip(shards, answers, strict=True)
            for raw_id, fields in entries
        ]

    async def groups(self, shard: ShardKeys) -> list[ConsumerGroup]:
        """Return the consumer groups of one shard."""
        facts = await group_facts(self._connection, shard.out)
        consumers = await self._connection.calls(
            [("XINFO", "CONSUMERS", shard.out, group[b"name"]) for group in facts]
        )
        return [
            _group(shard.out, group, [dict(pairs(consumer)) for consumer in members])
            for group, members in zip(facts, consumers, strict=True)
        ]

    async def make_group(self, group: str) -> None:
        """Make a consumer group on every shard, at the beginning of what is kept."""
        for shard in self._shards:
            await make_group(self._connection, shard.out, group)

    async def trim(self, *, retention_s: int, retention_entries: int) -> int:
        """Remove what every group has acknowledged and is old, or is more than is kept. Returns how many entries."""
        removed = 0
        for shard in self._shards:
            more = True
            while more:
                count, more = await self._connection.run(
                    "trim", [shard.out], [retention_s * 1000, retention_entries]
                )
                removed += count
        return removed


async def make_group(connection: Connection, stream: str, group: str) -> None:
    """Make a consumer group at the beginning of what is kept; one that is there stays as it is."""
    if await _has_group(connection, stream, group):  # a full Redis refuses to make also what is there
        return
    try:
        await connection.call("XGROUP", "CREATE", stream, group, "0", "MKSTREAM")
    except RfctlError as problem:
        if "BUSYGROUP" not in problem.fact:
            raise


async def group_facts(connection: Connection, stream: str) -> list[dict[bytes, Any]]:
    """Return what Redis says of each consumer group of a stream; a stream that is not there has none."""
    if not await connection.call("EXISTS", stream):
        return []
    return [dict(pairs(group)) for group in await connection.call("XINFO", "GROUPS", stream)]


async def _has_group(connection: Connection, stream: str, group: str) -> bool:
    return any(facts[b"name"] == group.encode() for facts in await group_facts(connection, stream))


def _group(stream: str, facts: dict[bytes, Any], consumers: list[dict[bytes, Any]]) -> ConsumerGroup:
    return ConsumerGroup(
        stream=stream,
        name=facts[b"name"].decode(errors="replace"),
        lag=facts.get(b"lag"),
        pending=facts[b"pending"],
        idle_ms=min((consumer[b"idle"] for consumer in consumers), default=None),
        last_delivered_id=facts[b"last-delivered-id"].decode(),
    )
