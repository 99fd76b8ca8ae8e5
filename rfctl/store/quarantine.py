"""The quarantine: unparsed requests, in a stream of their own until an operator decides.

The provider was answered 200: else it would send the request again for days, and everything behind it would wait. So
this copy is the only one. Its secrets were removed before it came here. What is old, or beyond a number of bytes, is
trimmed and counted: else a provider that says something new in each of its requests would fill Redis.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rfctl.errors import ReplyError, RightsMissingError
from rfctl.model.message import Unparsed
from rfctl.store import replies
from rfctl.store.keys import CommonKeys
from rfctl.store.stream_pages import StreamPages

if TYPE_CHECKING:
    from rfctl.store.connection import Connection


_MEASURED = "body"
_AROUND_BYTES = 200
"""About how many bytes an entry has besides its body."""
_REMOVED_A_CALL = 50


@dataclass(frozen=True, slots=True)
class QuarantinedHead:
    """One entry without its body of `size` bytes. `source` is the name in the settings, `type` its type at that time."""

    id: str
    source: str
    type: str
    why: str
    size: int

    @property
    def at_ms(self) -> int:
        """When it came, Unix ms by the clock of Redis."""
        return int(self.id.partition("-")[0])


@dataclass(frozen=True, slots=True)
class QuarantinedRequest:
    """One entry. `source` is the name in the settings, `type` its type at that time; `body` can be parsed again."""

    id: str
    source: str
    type: str
    why: str
    body: bytes

    @property
    def head(self) -> QuarantinedHead:
        """The entry without its body."""
        return QuarantinedHead(self.id, self.source, self.type, self.why, len(self.body))


class Quarantine:
    """The quarantine of one Redis."""

    def __init__(self, connection: Connection, keys: CommonKeys) -> None:
        self._connection = connection
        self._keys = keys

    async def add(self, source: str, source_type: str, unparsed: Sequence[Unparsed]) -> None:
        """Store unparsed requests of a source. Raises RfctlError: then nothing may be acknowledged."""
        command = ("XADD", self._keys.quarantine, "*", "source", source, "type", source_type)
        await self._connection.calls([(*command, "why", part.why, "body", part.body) for part in unparsed])

    async def count(self) -> int:
        """Return how many entries there are."""
        return replies.integer(await self._connection.call("XLEN", self._keys.quarantine))

    async def list_newest(self, limit: int = 100) -> list[QuarantinedRequest]:
        """Return the newest entries, oldest first."""
        reply = await self._connection.call("XREVRANGE", self._keys.quarantine, "+", "-", "COUNT", limit)
        return [_decode(*entry) for entry in reversed(replies.stream_entries(reply))]

    async def list_heads(self, limit: int) -> list[QuarantinedHead]:
        """Return the newest entries without their bodies, oldest first: a body may have megabytes."""
        heads: list[QuarantinedHead] = []
        pages = StreamPages(self._connection, self._keys.quarantine, measured=_MEASURED)
        async for entry_id, flat in pages.newest_first():
            if len(heads) == limit:
                break
            heads.append(_decode_head(entry_id, flat))
        return heads[::-1]

    async def iterate(self) -> AsyncIterator[QuarantinedHead]:
        """Yield the entries of this moment without their bodies, oldest first. The caller may drop them meanwhile."""
        pages = StreamPages(self._connection, self._keys.quarantine, measured=_MEASURED)
        async for entry_id, flat in pages.of_now():
            yield _decode_head(entry_id, flat)

    async def get(self, entry_id: str) -> QuarantinedRequest | None:
        """Return one entry, or None."""
        entries = replies.stream_entries(
            await self._connection.call("XRANGE", self._keys.quarantine, entry_id, entry_id)
        )
        return _decode(*entries[0]) if entries else None

    async def trim(self, *, retention_s: int, max_bytes: int, now_ms: int) -> int:
        """Remove what is older than `retention_s`, and the oldest beyond about `max_bytes`; 0 is no limit.

        Returns how many entries it removed. Raises RfctlError.
        """
        surplus = await self._measure() - max_bytes if max_bytes else 0
        oldest_ms = now_ms - retention_s * 1000 if retention_s else 0
        removed, page = 0, list[str]()
        async for head in self.iterate():
            if head.at_ms >= oldest_ms and surplus <= 0:
                break
            surplus -= head.size + _AROUND_BYTES
            page.append(head.id)
            if len(page) == _REMOVED_A_CALL:
                removed += await self._remove(page)
                page = []
        return removed + await self._remove(page)

    async def _remove(self, entry_ids: Sequence[str]) -> int:
        if not entry_ids:
            return 0
        return replies.integer(await self._connection.call("XDEL", self._keys.quarantine, *entry_ids))

    async def _measure(self) -> int:
        """Return about how many bytes it has in Redis. Where Redis does not tell, the newest entries stand for all."""
        try:
            size = await self._connection.call("MEMORY", "USAGE", self._keys.quarantine)
        except (RightsMissingError, ReplyError):  # a hosted Redis may keep it to itself
            heads = await self.list_heads(_REMOVED_A_CALL)
            bytes_of_heads = sum(head.size + _AROUND_BYTES for head in heads)
            return bytes_of_heads * await self.count() // max(1, len(heads))
        return replies.integer(size) if size else 0

    async def drop(self, entry_id: str) -> bool:
        """Delete one entry. Returns whether it was there."""
        return bool(await self._connection.call("XDEL", self._keys.quarantine, entry_id))


def _decode(entry_id: str, flat: Sequence[bytes]) -> QuarantinedRequest:
    fields = replies.fields(flat)
    source, source_type, why = (replies.text(fields.get(name)) for name in ("source", "type", "why"))
    return QuarantinedRequest(entry_id, source, source_type, why, fields.get("body", b""))


def _decode_head(entry_id: str, flat: Sequence[bytes]) -> QuarantinedHead:
    """Read an entry whose body the script has replaced by its length; another program's may have none."""
    fields = replies.fields(flat)
    source, source_type, why = (replies.text(fields.get(name)) for name in ("source", "type", "why"))
    return QuarantinedHead(entry_id, source, source_type, why, int(fields.get(_MEASURED) or 0))
