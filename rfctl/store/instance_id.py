"""The name of a Redis among others: a queue may be filled by several rfctl, whose messages can have the same ids."""

from __future__ import annotations

import secrets

from rfctl.store.connection import Connection
from rfctl.store.keys import INSTANCE_ID


async def ensure_instance_id(connection: Connection) -> str:
    """Return the name of this Redis, 8 hex digits; the first call makes it. Raises RfctlError."""
    stored = await connection.call("GET", INSTANCE_ID)
    if stored is None:
        await connection.call("SET", INSTANCE_ID, secrets.token_hex(4), "NX")
        stored = await connection.call("GET", INSTANCE_ID)
    return stored.decode() if stored else ""
