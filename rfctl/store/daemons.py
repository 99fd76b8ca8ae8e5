"""The records by which daemons show that they are alive, by the clock of Redis.

A record says what another shell needs: where the daemon listens, how long it waits, which settings it runs on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from rfctl.model.closed_sets import Role
from rfctl.store import replies
from rfctl.store.keys import ShardKeys

if TYPE_CHECKING:
    from rfctl.store.connection import Connection

ALIVE_MS = 10_000
FORGET_MS = 86_400_000


class DaemonRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One daemon as it describes itself. Times are Unix ms by the clock of Redis; waits in ms."""

    id: str
    host: str
    pid: int
    version: str
    role: Role
    listener: str = ""
    fingerprint: str = ""
    quiet_ms: int = 0
    max_size: int = 0
    max_wait_ms: int = 0
    separator: str = " "
    layout: int = 1
    """The version of the layout that it reads and writes; a daemon of layout 1 does not name it."""
    started_ms: int = 0
    turned_ms: int = 0
    beat_ms: int = 0

    @property
    def is_scheduler(self) -> bool:
        """Whether it hands batches over."""
        return self.role in ("all", "processor")

    @property
    def is_listening(self) -> bool:
        """Whether it receives messages."""
        return bool(self.listener)


_decode = msgspec.json.Decoder(DaemonRecord).decode


class Daemons:
    """The records of one Redis. Times are those of the first shard's clock."""

    def __init__(self, connection: Connection, shard: ShardKeys) -> None:
        self._connection = connection
        self._shard = shard
        self._keys = shard.common

    async def list_alive(self) -> list[DaemonRecord]:
        """Return the daemons that wrote their record within `ALIVE_MS`, oldest first."""
        now = await self._connection.now_ms(self._shard)
        records = [record for _, record in await self._records() if now - record.beat_ms <= ALIVE_MS]
        return sorted(records, key=lambda record: record.started_ms)

    async def _records(self) -> list[tuple[str, DaemonRecord]]:
        records = []
        for daemon_id, line in replies.fields(
            await self._connection.call("HGETALL", self._keys.daemons)
        ).items():
            try:
                records.append((daemon_id, _decode(line)))
            except msgspec.DecodeError:
                continue  # a later version's record
        return records

    async def forget_dead(self) -> None:
        """Delete the records that were not written for a day."""
        now = await self._connection.now_ms(self._shard)
        dead = [daemon_id for daemon_id, record in await self._records() if now - record.beat_ms > FORGET_MS]
        if dead:
            await self._connection.call("HDEL", self._keys.daemons, *dead)

    async def write(self, record: DaemonRecord, *, age_ms: int) -> DaemonRecord:
        """Write a record that is alive now and last turned `age_ms` ago. Returns the record that it wrote."""
        now = await self._connection.now_ms(self._shard)
        written = msgspec.structs.replace(
            record, started_ms=record.started_ms or now, beat_ms=now, turned_ms=now - age_ms
        )
        await self._connection.call("HSET", self._keys.daemons, record.id, msgspec.json.encode(written))
        return written

    async def remove(self, daemon_id: str) -> None:
        """Delete the record of a daemon that ends."""
        await self._connection.call("HDEL", self._keys.daemons, daemon_id)
