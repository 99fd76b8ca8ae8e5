"""How many shards a Redis is laid out for: written down at the first start, and held to afterwards."""

from __future__ import annotations

from rfctl.errors import OtherShardsError
from rfctl.store.connection import Connection
from rfctl.store.keys import SHARDS


async def check_shards(connection: Connection, shards: int) -> None:
    """Refuse a Redis that is laid out for another number of shards. Raises OtherShardsError."""
    stored = await connection.call("GET", SHARDS)
    if stored is not None and stored != str(shards).encode():
        raise OtherShardsError(
            f"Redis at {connection.address.shown()} is laid out for redis.shards = {stored.decode()}, not {shards}",
            set_by=connection.address.set_by,
            next=f"set redis.shards to {stored.decode()}; or, while nothing is pending, DEL {SHARDS} and start anew",
        )


async def claim_shards(connection: Connection, shards: int) -> None:
    """Write down the number of shards at the first start. Raises OtherShardsError for another number."""
    if await connection.call("GET", SHARDS) is None:  # a full Redis refuses also a SET that changes nothing
        await connection.call("SET", SHARDS, shards, "NX")
    await check_shards(connection, shards)
