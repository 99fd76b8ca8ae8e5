"""Reads a stream page by page for an operator: no page, and so no command, holds much in memory or Redis for long.

A page ends at `_MOST_ENTRIES` entries or `_MOST_BYTES` bytes (lua/output/read_page.lua), whatever the length of an entry.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from rfctl.store import replies
from rfctl.store.keys import ShardKeys

if TYPE_CHECKING:
    from rfctl.store.connection import Connection

_MOST_ENTRIES, _MOST_BYTES = 200, 262_144

_DELIVERY_ID = re.compile(r"msg_[0-9a-f]{24}")

RawEntry = tuple[str, list[bytes]]
"""An entry's id, and its field names and values in turn."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class StreamPages:
    """What to read of each entry of one stream: the first `items` of its flat fields (0: all), and one field's length.

    The value of the field `measured` is replaced by its length in bytes.
    """

    connection: Connection
    key: str
    items: int = 0
    measured: str = ""

    async def oldest_first(self, start: str = "-", end: str = "+") -> AsyncIterator[RawEntry]:
        """Yield the entries from `start` to `end`; the caller may remove them meanwhile. Raises RfctlError."""
        while page := await self._read(start, end, "oldest"):
            for entry in page:
                yield entry
            start = f"({page[-1][0]}"

    async def newest_first(self) -> AsyncIterator[RawEntry]:
        """Yield all entries, the newest first. Raises RfctlError."""
        start = "+"
        while page := await self._read(start, "-", "newest"):
            for entry in page:
                yield entry
            start = f"({page[-1][0]}"

    async def newest_behind(self, entry_id: str, limit: int) -> list[RawEntry]:
        """Return up to `limit` of the newest entries behind an entry, the newest first. Raises RfctlError."""
        return await self._read("+", f"({entry_id}", "newest", limit)

    async def of_now(self) -> AsyncIterator[RawEntry]:
        """Yield the entries of this moment, the oldest first: what comes meanwhile is left out. Raises RfctlError."""
        newest = await self._read("+", "-", "newest", limit=1)
        if newest:
            async for entry in self.oldest_first(end=newest[0][0]):
                yield entry

    async def find_first_id(self, start: str = "-") -> str | None:
        """Return the id of the first entry from `start` on, None at the end. Raises RfctlError."""
        page = await self._read(start, "+", "oldest", limit=1)
        return page[0][0] if page else None

    async def _read(self, start: str, end: str, order: str, limit: int = _MOST_ENTRIES) -> list[RawEntry]:
        args: list[bytes | str | int] = [start, end, order, limit, _MOST_BYTES, self.items, self.measured]
        no_clock = ShardKeys("", self.key)  # the script reads none, so any shard will do
        return replies.stream_entries(await self.connection.run("read_page", no_clock, [self.key], args))


async def merge(
    sources: Sequence[AsyncIterator[Item]], key: Callable[[Item], Any], *, descending: bool = False
) -> AsyncIterator[Item]:
    """Yield the items of sorted sources in the order of all, holding a single item of each source."""
    sign = -1 if descending else 1
    heap = [
        (sign * key(item), place, item)
        for place, source in enumerate(sources)
        if (item := await anext(source, None)) is not None
    ]
    heapq.heapify(heap)
    while heap:
        _, place, item = heap[0]
        yield item
        following = await anext(sources[place], None)
        if following is None:
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, (sign * key(following), place, following))


def is_delivery_id(text: str) -> bool:
    """Say whether a text has the form of the id by which receivers know a message."""
    return _DELIVERY_ID.fullmatch(text) is not None
