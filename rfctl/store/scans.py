"""Reads a sorted set whole, in short calls, while others change it: an index has as many members as there are batches."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from rfctl.store import replies

if TYPE_CHECKING:
    from rfctl.store.connection import Connection

_PAGE = 500


async def scan_members(connection: Connection, key: str) -> AsyncIterator[list[str]]:
    """Yield the members of a sorted set, page by page, by cursor: places in it change meanwhile."""
    cursor, is_begun = "0", False
    while cursor != "0" or not is_begun:
        reply = await connection.call("ZSCAN", key, cursor, "COUNT", _PAGE)
        position, page = replies.array(reply)
        cursor, is_begun = replies.text(position), True
        yield replies.texts(replies.array(page)[::2])
