"""Which merged message a command is about: the id as the stream has it, or with the shard, as receivers know it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rfctl.errors import UsageError
from rfctl.store.connection import Connection
from rfctl.store.deliveries import StreamEntry, delivery_id
from rfctl.store.keys import ShardKeys

_ID = re.compile(r"(\d{1,20}-\d{1,20})(?:-(\d{1,4}))?", re.ASCII)


def check_id(written: str) -> str:
    """Take only what has the form of an id. Raises UsageError."""
    if _ID.fullmatch(written) is None:
        raise UsageError(f"{written} is no id", next="ids look like 1758000000000-0")
    return written


def check_only_one(written: str, found: Sequence[str]) -> None:
    """Refuse an id that means several messages, which only shards can bring about. Raises UsageError."""
    if len(set(found)) > 1:
        raise UsageError(
            f"{written} means several messages", next=f"write one of {', '.join(sorted(set(found)))}"
        )


async def in_stream(
    connection: Connection, shards: Sequence[ShardKeys], written: str
) -> list[tuple[ShardKeys, StreamEntry]]:
    """Return the merged messages of this id that the output streams still have."""
    found = _ID.fullmatch(check_id(written))
    entry_id, number = (found[1], found[2]) if found else ("", None)
    shards = [shard for shard in shards if number is None or shard.number == number]
    answers = await connection.calls([("XRANGE", shard.out, entry_id, entry_id) for shard in shards])
    return [
        (shard, StreamEntry(raw_id.decode(), fields, shard.number))
        for shard, entries in zip(shards, answers, strict=True)
        for raw_id, fields in entries
    ]


def outside_id(entry: StreamEntry) -> str:
    """Return the id by which receivers know it."""
    return delivery_id(entry.id, entry.shard)
