"""The batches that could not be handed over. They are tried again by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from rfctl.store import replies
from rfctl.store.keys import ShardKeys

if TYPE_CHECKING:
    from rfctl.store.connection import Connection

_SHOWN = 5


class AsideBatch(msgspec.Struct, frozen=True):
    """One batch that is set aside: why, and when it was tried last (Unix ms by the clock of Redis)."""

    batch_key: str = ""
    why: str = ""
    at_ms: int = 0


@dataclass(frozen=True, slots=True)
class AsideBatches:
    """How many batches are set aside, and a few of them."""

    count: int = 0
    some: list[AsideBatch] = field(default_factory=list)


_decode = msgspec.json.Decoder(AsideBatch).decode


async def read_aside(connection: Connection, shards: Sequence[ShardKeys]) -> AsideBatches:
    """Return the batches of all shards that are set aside. Raises RfctlError."""
    counts = await connection.calls([("HLEN", shard.set_aside) for shard in shards])
    total = sum(map(replies.integer, counts))
    some: list[AsideBatch] = []
    for shard, count in zip(shards, counts, strict=True):
        if count and len(some) < _SHOWN:
            _, flat = replies.array(await connection.call("HSCAN", shard.set_aside, 0, "COUNT", _SHOWN))
            some += [_parse(batch_key, line) for batch_key, line in replies.fields(flat).items()]
    return AsideBatches(total, some[:_SHOWN])


def _parse(batch_key: str, line: bytes) -> AsideBatch:
    try:
        return msgspec.structs.replace(_decode(line), batch_key=batch_key)
    except msgspec.DecodeError:
        return AsideBatch(batch_key)
