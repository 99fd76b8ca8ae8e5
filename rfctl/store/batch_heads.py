"""Reads whose some batches are, and since when they wait, without their messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rfctl.store import replies
from rfctl.store.keys import ShardKeys

if TYPE_CHECKING:
    from rfctl.store.connection import Connection

_PAGE = 100
"""How many batches a call reads."""
_MOST_BYTES = 400_000
"""How many bytes of messages Redis goes through in a call; the first one may be longer."""
_MOST_CALLS = 50


@dataclass(frozen=True, slots=True)
class BatchHead:
    """Whose a batch is. `size` 0: it has left. `received_ms` (Unix ms) is 0, and the rest "", where no message tells it."""

    size: int
    received_ms: int
    phone: str
    chat: str


async def read_heads(
    connection: Connection, shard: ShardKeys, batch_keys: Sequence[str], *, most_calls: int | None = None
) -> dict[str, BatchHead]:
    """Return the heads of batches of one shard, in their order, for all or for as many as `most_calls` reach."""
    heads: dict[str, BatchHead] = {}
    calls = 0
    while len(heads) < len(batch_keys) and (most_calls is None or calls < most_calls):
        page = batch_keys[len(heads) : len(heads) + _PAGE]
        keys = [shard.batch_prefix + batch_key for batch_key in page]
        flat = replies.array(await connection.run("read_heads", shard, keys, [_MOST_BYTES]))
        for place, batch_key in enumerate(page[: len(flat) // 4]):
            size, received_ms, phone, chat = flat[place * 4 : place * 4 + 4]
            heads[batch_key] = BatchHead(
                replies.integer(size), replies.integer(received_ms), replies.text(phone), replies.text(chat)
            )
        calls += 1
    return heads


async def read_oldest(connection: Connection, shard: ShardKeys, batch_keys: Sequence[str]) -> int | None:
    """Return when the oldest message of these batches was received (Unix ms), as far as a few calls tell."""
    heads = await read_heads(connection, shard, batch_keys, most_calls=_MOST_CALLS)
    return min((head.received_ms for head in heads.values() if head.received_ms), default=None)
