"""A clock that a test moves: the scripts and `Connection.now_ms` go by it, and nothing sleeps for time to pass."""

from __future__ import annotations

from importlib import resources

from rfctl.store import replies
from rfctl.store.address import RedisAddress
from rfctl.store.clock import Bounds, Calls, ServerClock, SetStep
from rfctl.store.connection import Connection
from rfctl.store.keys import Keyspace

KEY = "rfctl-test:now"
_SHA1 = "if not redis.sha1hex then redis.sha1hex = function(text) return text end end\n"
INCLUDE = f"""\
local CLOCK = table.remove(KEYS)
table.remove(ARGV)
table.remove(ARGV)
local STEP, SEEN = 0, nil
local NOW = tonumber(redis.call('GET', '{KEY}'))
local WALL = NOW
if not NOW then error('{KEY} is not set') end
local function whole(number) return string.format('%.0f', number) end
"""
"""What stands for shared/clock.lua, and gives what that gives."""


class FakeredisClock(ServerClock):
    """The server's clock, for fakeredis, whose scripts have no SHA-1."""

    def __init__(self) -> None:
        super().__init__()
        text = (resources.files("rfctl.store") / "lua" / "shared" / "clock.lua").read_text()
        self.include = _SHA1 + text


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
        await clock.set(await connection.now_ms(Keyspace().all()[0]))
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

    async def now_ms(self, calls: Calls, key: str) -> int:
        """The time that it shows, Unix ms."""
        [shown] = await calls([("GET", KEY)])
        return replies.integer(shown)

    def fresh_bounds(self, key: str) -> Bounds:
        """None: the test moves this clock as it likes."""
        return "", ""

    async def keep_fresh(self, calls: Calls, key: str) -> None:
        """Do nothing: it has no bounds."""

    def bounds(self, key: str) -> Bounds:
        """None, likewise."""
        return "", ""

    async def settle(self, calls: Calls, set_step: SetStep, key: str) -> None:
        """Do nothing: this clock never jumps."""
