"""Goes through the names of all keys of a database, in short calls and up to a bound: for an operator who asks."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rfctl.store import replies

if TYPE_CHECKING:
    from rfctl.store.connection import Connection

SCANNED_KEYS = 1_000_000
"""Names of keys that are gone through, at most."""
_PAGE = 1_000


@dataclass(slots=True)
class KeyNames:
    """The names of all keys of a database; `is_complete` is false while there are more than were gone through."""

    connection: Connection
    limit: int
    is_complete: bool = False
    _passed: int = 0

    async def iterate(self, pattern: str, *more: str) -> AsyncIterator[list[str]]:
        """Yield the names that match, page by page. A name may come twice."""
        cursor = "0"
        while self._passed < self.limit:
            reply = await self.connection.call("SCAN", cursor, "MATCH", pattern, "COUNT", _PAGE, *more)
            position, page = replies.array(reply)
            self._passed += _PAGE
            cursor = replies.text(position)
            yield replies.texts(page)
            if cursor == "0":
                self.is_complete = True
                return


def escape_literal(text: str) -> str:
    """Return a literal text as a pattern of SCAN."""
    return re.sub(r"([\[\]?*\\])", r"\\\1", text)
