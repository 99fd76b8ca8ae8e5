"""The output stream that no consumer group reads: how much is in it. Nothing of it is trimmed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rfctl.errors import ReplyError, RightsMissingError
from rfctl.store import replies
from rfctl.store.keys import ShardKeys
from rfctl.store.stream_pages import StreamPages

if TYPE_CHECKING:
    from rfctl.store.connection import Connection

_SAMPLES = 5
"""How many parts of a stream Redis measures; the size is an estimate from these."""


@dataclass(frozen=True, slots=True)
class UnreadStream:
    """All shards of a stream without a reader. `oldest_ms` is Unix ms; `bytes` is None where Redis does not tell."""

    entries: int
    oldest_ms: int | None
    bytes: int | None


async def read_unread_stream(connection: Connection, shards: Sequence[ShardKeys]) -> UnreadStream:
    """Measure the output stream of every shard; no entry is read. Raises RfctlError."""
    lengths = await connection.calls([("XLEN", shard.out) for shard in shards])
    firsts = [await StreamPages(connection, shard.out, items=2).find_first_id() for shard in shards]
    return UnreadStream(
        entries=sum(map(replies.integer, lengths)),
        oldest_ms=min((int(first.partition("-")[0]) for first in firsts if first), default=None),
        bytes=await _measure(connection, shards),
    )


async def _measure(connection: Connection, shards: Sequence[ShardKeys]) -> int | None:
    commands = [("MEMORY", "USAGE", shard.out, "SAMPLES", _SAMPLES) for shard in shards]
    try:
        sizes = await connection.calls(commands)
    except (RightsMissingError, ReplyError):
        return None
    return sum(replies.integer(size) for size in sizes if size is not None)
