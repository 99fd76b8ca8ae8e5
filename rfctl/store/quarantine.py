"""The quarantine: unparsed requests, in a stream of their own until an operator decides.

The provider was answered 200: else it would send the request again for days, and everything behind it would wait. So
this copy is the only one. It is never trimmed. Its secrets were removed before it came here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rfctl.model.message import Unparsed
from rfctl.store import replies
from rfctl.store.keys import CommonKeys

if TYPE_CHECKING:
    from rfctl.store.connection import Connection


@dataclass(frozen=True, slots=True)
class QuarantinedRequest:
    """One entry. `source` is the name in the settings, `type` its type at that time; `body` can be parsed again."""

    id: str
    source: str
    type: str
    why: str
    body: bytes

    @property
    def at_ms(self) -> int:
        """When it came, Unix ms by the clock of Redis."""
        return int(self.id.partition("-")[0])


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

    async def iterate(self) -> AsyncIterator[QuarantinedRequest]:
        """Yield the entries of this moment, oldest first, each by its own call: a body may have megabytes.

        The caller may drop them meanwhile.
        """
        start, newest = "-", await self.list_newest(1)
        while newest:
            reply = await self._connection.call(
                "XRANGE", self._keys.quarantine, start, newest[0].id, "COUNT", 1
            )
            entries = replies.stream_entries(reply)
            if not entries:
                return
            yield _decode(*entries[0])
            start = f"({entries[0][0]}"

    async def get(self, entry_id: str) -> QuarantinedRequest | None:
        """Return one entry, or None."""
        entries = replies.stream_entries(
            await self._connection.call("XRANGE", self._keys.quarantine, entry_id, entry_id)
        )
        return _decode(*entries[0]) if entries else None

    async def drop(self, entry_id: str) -> bool:
        """Delete one entry. Returns whether it was there."""
        return bool(await self._connection.call("XDEL", self._keys.quarantine, entry_id))


def _decode(entry_id: str, flat: Sequence[bytes]) -> QuarantinedRequest:
    fields = replies.fields(flat)
    source, source_type, why = (replies.text(fields.get(name)) for name in ("source", "type", "why"))
    return QuarantinedRequest(entry_id, source, source_type, why, fields.get("body", b""))
