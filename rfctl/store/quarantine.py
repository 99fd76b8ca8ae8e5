"""What came in authentic and was not understood: kept in a stream of its own until an operator decides.

The provider was answered 200, or it would send the same for days and hold up what is behind it; so this copy
is the only one. It is never trimmed. Its secrets were taken out before it came here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from rfctl.model.message import Unparsed
from rfctl.store.connection import Connection
from rfctl.store.keys import QUARANTINE


@dataclass(frozen=True, slots=True)
class QuarantinedRequest:
    """One entry. `source` is the name in the settings, `type` what that was then; `body` is what can be read again."""

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

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def keep(self, source: str, kind: str, unparsed: Sequence[Unparsed]) -> None:
        """Store what was not understood. Raises RfctlError: then nothing was acknowledged."""
        await self._connection.calls(
            [
                ("XADD", QUARANTINE, "*", "source", source, "type", kind, "why", one.why, "body", one.body)
                for one in unparsed
            ]
        )

    async def count(self) -> int:
        """Return how many there are."""
        return int(await self._connection.call("XLEN", QUARANTINE))

    async def list(self, most: int = 100) -> list[QuarantinedRequest]:
        """Return the newest entries, oldest first."""
        entries = await self._connection.call("XREVRANGE", QUARANTINE, "+", "-", "COUNT", most)
        return [_kept(entry_id, fields) for entry_id, fields in reversed(entries)]

    async def each(self) -> AsyncIterator[QuarantinedRequest]:
        """Yield what is there now, oldest first, one a call: a body may have megabytes. Each may be dropped meanwhile."""
        start, newest = "-", await self.list(1)
        while newest:
            entries = await self._connection.call("XRANGE", QUARANTINE, start, newest[0].id, "COUNT", 1)
            if not entries:
                return
            yield _kept(*entries[0])
            start = f"({entries[0][0].decode()}"

    async def get(self, entry_id: str) -> QuarantinedRequest | None:
        """Return one entry, or None."""
        entries = await self._connection.call("XRANGE", QUARANTINE, entry_id, entry_id)
        return _kept(*entries[0]) if entries else None

    async def drop(self, entry_id: str) -> bool:
        """Delete one entry; says whether it was there."""
        return bool(await self._connection.call("XDEL", QUARANTINE, entry_id))


def _kept(entry_id: bytes, fields: list[bytes]) -> QuarantinedRequest:
    got = {fields[i].decode(): fields[i + 1] for i in range(0, len(fields) - 1, 2)}

    def text(name: str) -> str:
        return got.get(name, b"").decode(errors="replace")

    return QuarantinedRequest(
        entry_id.decode(), text("source"), text("type"), text("why"), got.get("body", b"")
    )
