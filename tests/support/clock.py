"""A clock that a test moves: the scripts and `Connection.now_ms` go by it, and nothing sleeps for time to pass."""

from __future__ import annotations

from rfctl.store import replies
from rfctl.store.address import RedisAddress
from rfctl.store.clock import Call
from rfctl.store.connection import Connection

KEY = "rfctl-test:now"
INCLUDE = f"""\
local NOW = tonumber(redis.call('GET', '{KEY}'))
if not NOW then error('{KEY} is not set') end
local function whole(number) return string.format('%.0f', number) end
"""
"""What stands for shared/clock.lua, and gives what that gives."""


class VirtualClock:
    """A clock in one Redis. It stands still until the test moves it.

    Ids of the output stream and expiry (`last-msg`, `seen`, leases) stay with the server's own clock.
    """

    include = INCLUDE

    def __init__(self, connection: Connection) -> None:
        self._server = connection

    @classmethod
    async def start(cls, connection: Connection) -> VirtualClock:
        """A clock that shows the server's time of this moment; `connection` is an ordinary one."""
        clock = cls(connection)
        await clock.set(await connection.now_ms())
        return clock

    def open(self, address: RedisAddress) -> Connection:
        """A connection that goes by this clock."""
        return Connection.open(address, clock=self)

    async def set(self, ms: int) -> None:
        """Show this time, Unix ms."""
        await self._server.call("SET", KEY, ms)

    async def advance(self, ms: int) -> None:
        """Let so much time pass."""
        await self._server.call("INCRBY", KEY, ms)

    async def now_ms(self, call: Call) -> int:
        """The time that it shows, Unix ms."""
        return replies.integer(await call("GET", KEY))
