"""Who is alive: each daemon writes a line about itself into Redis, by the clock of Redis.

The line says what another shell needs: where it listens, what it was told to wait, which settings it runs on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import msgspec

from rfctl.errors import RedisCannotNowError, RfctlError
from rfctl.store.connection import Connection, pairs
from rfctl.store.keys import DAEMONS
from rfctl.timing import sleep_or_stop

BEAT_S = 2.0
ALIVE_MS = 10_000
FORGET_MS = 86_400_000


class DaemonRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One daemon as it describes itself. Times are Unix ms by the clock of Redis; waits in ms."""

    id: str
    host: str
    pid: int
    version: str
    role: str
    listener: str = ""
    fingerprint: str = ""
    quiet_ms: int = 0
    max_size: int = 0
    max_wait_ms: int = 0
    separator: str = " "
    started_ms: int = 0
    turned_ms: int = 0
    beat_ms: int = 0

    @property
    def processes(self) -> bool:
        """Whether it hands over."""
        return self.role in ("all", "processor")

    @property
    def listens(self) -> bool:
        """Whether it takes messages in."""
        return bool(self.listener)


_decode = msgspec.json.Decoder(DaemonRecord).decode


async def list_alive(connection: Connection) -> list[DaemonRecord]:
    """Return the daemons that gave a sign of life lately, oldest first; long dead ones are forgotten."""
    now = await connection.now_ms()
    found: list[DaemonRecord] = []
    for name, line in pairs(await connection.call("HGETALL", DAEMONS)):
        try:
            daemon = _decode(line)
        except msgspec.DecodeError:
            continue  # a later version's line
        if now - daemon.beat_ms <= ALIVE_MS:
            found.append(daemon)
        elif now - daemon.beat_ms > FORGET_MS:
            # One that refuses writes can be looked at all the same.
            with contextlib.suppress(RedisCannotNowError):
                await connection.call("HDEL", DAEMONS, name)
    return sorted(found, key=lambda daemon: daemon.started_ms)


class Heartbeat:
    """Writes one daemon's line every two seconds. `age_ms` says how long ago the processor turned."""

    def __init__(
        self,
        connection: Connection,
        about: DaemonRecord,
        age_ms: Callable[[], int],
        beaten: Callable[[], Awaitable[None]],
    ) -> None:
        self._connection = connection
        self._about = about
        self._age_ms = age_ms
        self._beaten = beaten

    def describe(self, about: DaemonRecord) -> None:
        """Change what the line says; when it started stays."""
        self._about = msgspec.structs.replace(about, started_ms=self._about.started_ms)

    async def beat(self) -> None:
        """Write the line once."""
        now = await self._connection.now_ms()
        started = self._about.started_ms or now
        self._about = msgspec.structs.replace(
            self._about, started_ms=started, beat_ms=now, turned_ms=now - self._age_ms()
        )
        await self._connection.call("HSET", DAEMONS, self._about.id, msgspec.json.encode(self._about))

    async def run(self, stopping: asyncio.Event) -> None:
        """Beat until `stopping` is set; a Redis that is away is the processor's to report."""
        while not stopping.is_set():
            with contextlib.suppress(RfctlError):
                await self.beat()
            with contextlib.suppress(RfctlError):
                await self._beaten()
            await sleep_or_stop(stopping, BEAT_S)

    async def stop(self) -> None:
        """Take the line away: this daemon is no longer alive."""
        await self._connection.call("HDEL", DAEMONS, self._about.id)
