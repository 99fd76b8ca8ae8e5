"""What a Redis is, written down at the first start: its instance id, and how many shards it is laid out for.

The id tells it from others: several rfctl may fill one queue, and their messages can have the same ids. The number
of shards stays: with another one, rfctl would not see the batches that are there.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from rfctl.errors import OtherShardsError
from rfctl.store import replies
from rfctl.store.keys import INSTANCE_ID, SHARDS

if TYPE_CHECKING:
    from rfctl.store.connection import Connection


async def ensure_instance_id(connection: Connection) -> str:
    """Return the instance id of this Redis, 8 hex digits; the first call makes it. Raises RfctlError."""
    stored = await connection.call("GET", INSTANCE_ID)
    if stored is None:
        await connection.call("SET", INSTANCE_ID, secrets.token_hex(4), "NX")
        stored = await connection.call("GET", INSTANCE_ID)
    return replies.text(stored)


async def check_shards(connection: Connection, shards: int) -> None:
    """Check that this Redis is laid out for so many shards, or for no number yet. Raises OtherShardsError."""
    stored = await connection.call("GET", SHARDS)
    if stored is None or replies.text(stored) == str(shards):
        return
    number = replies.text(stored)
    raise OtherShardsError(
        f"Redis at {connection.address.shown()} is laid out for redis.shards = {number}, not {shards}",
        set_by=connection.address.shards_set_by or connection.address.set_by,
        next=f"set redis.shards to {number}; or, while nothing is pending, DEL {SHARDS} and start anew",
    )


async def claim_shards(connection: Connection, shards: int) -> None:
    """Write down the number of shards at the first start. Raises OtherShardsError for another number."""
    if await connection.call("GET", SHARDS) is None:  # a full Redis refuses also a SET that changes nothing
        await connection.call("SET", SHARDS, shards, "NX")
    await check_shards(connection, shards)
