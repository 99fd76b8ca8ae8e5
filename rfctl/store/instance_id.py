"""The name of a Redis among others: a queue may be filled by several rfctl, whose messages can have the same ids."""

from __future__ import annotations

import secrets

from rfctl.store.connection import Connection
from rfctl.store.keys import ORIGIN


async def origin_of(connection: Connection) -> str:
    """Return the name of this Redis, 8 hex digits that are made once. Raises RfctlError."""
    found = await connection.call("GET", ORIGIN)
    if found is None:
        await connection.call("SET", ORIGIN, secrets.token_hex(4), "NX")
        found = await connection.call("GET", ORIGIN)
    return found.decode() if found else ""
