"""The sessions of the page that were ended before their time. Every daemon of this Redis asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rfctl.store.keys import CommonKeys

if TYPE_CHECKING:
    from rfctl.store.connection import Connection


class EndedSessions:
    """Each ended session has a key of its own, which expires with it. No key opens anything: it has no signature."""

    def __init__(self, connection: Connection, keys: CommonKeys) -> None:
        self._connection = connection
        self._keys = keys

    async def add(self, lifetimes_s: Mapping[str, int]) -> None:
        """Write down that sessions are over, each for so long (session id → s, above 0). Raises RfctlError."""
        commands = [
            ("SET", self._keys.logout_prefix + session_id, "1", "EX", lifetime_s)
            for session_id, lifetime_s in lifetimes_s.items()
        ]
        await self._connection.calls(commands, short=True)

    async def contains(self, session_id: str) -> bool:
        """Say whether a session was ended. Raises RfctlError."""
        [count] = await self._connection.calls(
            [("EXISTS", self._keys.logout_prefix + session_id)], short=True
        )
        return bool(count)
