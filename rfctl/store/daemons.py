"""The records by which daemons show that they are alive, by the clock of Redis.

A record says what another shell needs: where the daemon listens, how long it waits, which settings it runs on.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from rfctl.model.closed_sets import Order, Role
from rfctl.store import replies
from rfctl.store.keys import ShardKeys
from rfctl.store.recent_totals import TotalsSample, list_sampled
from rfctl.store.recent_work import MinuteCounts, RecentWork
from rfctl.store.timed_calls import call_at_now

if TYPE_CHECKING:
    from rfctl.store.connection import Connection

ALIVE_MS = 10_000
FORGET_MS = 600_000
"""A daemon that starts every second must not fill Redis with its records."""


class RecentRequests(msgspec.Struct, frozen=True, omit_defaults=True):
    """How many requests of a source were accepted within the last ten minutes, and how many rejected, by reason.

    `type` is that of the source. A request was accepted `accepted_ago_s` ago, give or take a minute (None: not since the
    start), and `rejected_since` counts by reason those that were rejected since. `proof_fault` is what was wrong with the
    proof of the last one that had none. `has_own_proof` is false where `auth` says how requests prove themselves.
    """

    accepted: int
    rejected: dict[str, int]
    type: str = ""
    accepted_ago_s: int | None = None
    rejected_since: dict[str, int] = {}
    proof_fault: str = ""
    has_own_proof: bool = True


class UnknownPath(msgspec.Struct, frozen=True):
    """An address that somebody asked for `count` times and nobody serves; `nearest` is the source whose name is most like it."""

    path: str
    count: int
    nearest: str = ""


class DaemonRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One daemon as it describes itself. Times are Unix ms by the clock of Redis; waits in ms.

    `settings_hash` is that of the settings in force, `files` has the hash of each settings file as it was read.
    `reloaded_ms` is the last reload, 0 for none. `reload_refused` says why the last one was refused, "" if it was not.
    `event_loop` is the library of its event loop. `output` is its output stream, `split_by` what keeps a phone's batches apart, `sinks` the type of each sink that it
    would deliver to. A daemon of an earlier version leaves these empty. `is_rolling_out` is set while an operator
    changes the settings of all daemons one after another. `recent_requests` has the sources that had requests lately, `unknown_paths` the addresses by which
    somebody meant a source that is not there. `open_sources` takes unverified requests from other machines (None: an
    earlier version, which does not say so).
    `socket_unit` is the socket unit of systemd that gives it its listener ("": it listens by its settings).
    `totals_before` are the totals as they were up to a minute before the beat (None: it has just started), and `minutes`
    what whole minutes have brought. `recent_work` is of this daemon alone.
    """

    id: str
    host: str
    pid: int
    version: str
    role: Role
    listener: str = ""
    monitor: str = ""
    socket_unit: str = ""
    open_sources: tuple[str, ...] | None = None
    fingerprint: str = ""
    quiet_ms: int = 0
    max_size: int = 0
    max_wait_ms: int = 0
    separator: str = " "
    settings_hash: str = ""
    files: dict[str, str] = {}
    reloaded_ms: int = 0
    reload_refused: str = ""
    lost_log_lines: int = 0
    event_loop: str = ""
    order: Order = "arrival"
    split_by: tuple[str, ...] = ()
    output: str = ""
    sinks: dict[str, str] = {}
    is_rolling_out: bool = False
    recent_requests: dict[str, RecentRequests] = {}
    unknown_paths: tuple[UnknownPath, ...] = ()
    totals_before: TotalsSample | None = None
    minutes: MinuteCounts = MinuteCounts()
    recent_work: RecentWork = RecentWork()
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
    def is_forwarder(self) -> bool:
        """Whether it delivers to its sinks."""
        return self.role in ("all", "forwarder")

    def is_older_than(self, other: DaemonRecord) -> bool:
        """Whether this daemon started first; of two that started at once, one is the older by its id."""
        return (self.started_ms, self.id) < (other.started_ms, other.id)

    def find_conflicts(self, other: DaemonRecord) -> list[str]:
        """Return what two daemons on one Redis must have in common and do not, in words: ours, then the other's."""
        if not (self.output and other.output):
            return []  # an earlier version did not say
        facts = [
            ("output.stream", self.output, other.output),
            ("batching.order", self.order, other.order),
            ("batching.split_by", _join(self.split_by), _join(other.split_by)),
        ]
        return [f"{name} is {ours} here and {theirs} there" for name, ours, theirs in facts if ours != theirs]

    def find_differences(self, other: DaemonRecord) -> list[str]:
        """Return what two daemons had better have in common and do not, in words."""
        if not (self.output and other.output):
            return []
        facts: list[tuple[str, object, object]] = [
            ("batching.quiet_ms", self.quiet_ms, other.quiet_ms),
            ("batching.max_size", self.max_size, other.max_size),
            ("batching.max_wait_ms", self.max_wait_ms, other.max_wait_ms),
            ("batching.separator", repr(self.separator), repr(other.separator)),
            ("sinks", _name_sinks(self.sinks), _name_sinks(other.sinks)),
        ]
        return [f"{name} is {ours} and {theirs}" for name, ours, theirs in facts if ours != theirs]

    def describe_listener(self) -> str:
        """Return its address, and whose it is where its settings do not say so; "" without one."""
        return f"{self.listener} ({self.socket_unit} of systemd)" if self.socket_unit else self.listener

    @property
    def is_listening(self) -> bool:
        """Whether it receives messages."""
        return bool(self.listener)


def _parse_count(reply: object) -> int:
    return 0 if reply is None else replies.integer(reply)


def _join(names: tuple[str, ...]) -> str:
    return "+".join(sorted(names)) or "empty"


def _name_sinks(sinks: dict[str, str]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in sorted(sinks.items())) or "none"


_decode = msgspec.json.Decoder(DaemonRecord).decode


class Daemons:
    """The records of one Redis. Times are those of the first shard's clock."""

    def __init__(self, connection: Connection, shard: ShardKeys) -> None:
        self._connection = connection
        self._shard = shard
        self._keys = shard.common

    async def list_alive(self) -> list[DaemonRecord]:
        """Return the daemons that wrote their record within `ALIVE_MS`, oldest first."""
        now, records = await self._read_records()
        alive = [record for record in records.values() if now - record.beat_ms <= ALIVE_MS]
        return sorted(alive, key=lambda record: record.started_ms)

    async def _read_records(self) -> tuple[int, dict[str, DaemonRecord]]:
        """Return the time, Unix ms, and the records by the id under which they are stored."""
        now, [lines] = await call_at_now(self._connection, self._shard, [("HGETALL", self._keys.daemons)])
        records = {}
        for daemon_id, line in replies.fields(lines).items():
            with contextlib.suppress(msgspec.DecodeError):  # a later version's record
                records[daemon_id] = _decode(line)
        return now, records

    async def forget_dead(self) -> list[str]:
        """Delete the records that were not written for `FORGET_MS`. Returns the ids of those that this call deleted."""
        now, records = await self._read_records()
        dead = [daemon_id for daemon_id, record in records.items() if now - record.beat_ms > FORGET_MS]
        if not dead:
            return []
        answers = await self._connection.calls(
            [("HDEL", self._keys.daemons, daemon_id) for daemon_id in dead]
        )
        return [daemon_id for daemon_id, count in zip(dead, answers, strict=True) if count]

    async def write(self, record: DaemonRecord, *, age_ms: int) -> DaemonRecord:
        """Write a record that is alive now and last turned `age_ms` ago. Returns the record that it wrote."""
        written, _ = await self.write_and_sample(record, (), age_ms=age_ms)
        return written

    async def write_and_sample(
        self, record: DaemonRecord, shards: Sequence[ShardKeys], *, age_ms: int
    ) -> tuple[DaemonRecord, TotalsSample]:
        """Write a record as `write` does, and read the totals of these shards in the same call."""
        now = await self._connection.now_ms(self._shard)
        written = msgspec.structs.replace(
            record, started_ms=record.started_ms or now, beat_ms=now, turned_ms=now - age_ms
        )
        command = ("HSET", self._keys.daemons, record.id, msgspec.json.encode(written))
        names = list_sampled(record.sinks)
        reads = [("HMGET", shard.totals, *names) for shard in shards]
        _, *answers = await self._connection.calls([command, *reads], short=True)
        counts = Counter(dict.fromkeys(names, 0))
        for answer in answers:
            counts.update(dict(zip(names, map(_parse_count, replies.array(answer)), strict=True)))
        return written, TotalsSample(now, dict(counts))

    async def remove(self, daemon_id: str) -> None:
        """Delete the record of a daemon that ends."""
        await self._connection.call("HDEL", self._keys.daemons, daemon_id)
