"""How it goes with each sink: what was delivered, what waits, what stands still and why, and who delivers.

Nothing is scanned: three short pipelines a shard, and three for each sink that fails there, whatever waits. It
trusts the consumer groups and what lua/sink.lua keeps. What Redis cannot say (the lag of a group after deletions,
or before Redis 7) is None, never a guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from rfctl.config.settings import Settings
from rfctl.store.connection import Command, Connection, pairs
from rfctl.store.deliveries import group_name
from rfctl.store.keys import PAUSED, ShardKeys
from rfctl.store.pending import GroupLag
from rfctl.store.retry_queue import RetryCause, merge_causes, retry_cause


class Pause(msgspec.Struct, frozen=True):
    """Why a sink stands still, and since when (Unix ms by the clock of Redis)."""

    why: str = ""
    at_ms: int = 0


@dataclass(frozen=True, slots=True)
class ConfiguredSink:
    """One configured sink. `group` reads the output stream for it, "" is nobody; `forwarded` says if rfctl delivers."""

    name: str
    type: str
    group: str
    forwarded: bool = True


@dataclass(frozen=True, slots=True)
class SinkStatus:
    """One sink, over all shards.

    `lag` counts what its group has not read (None: Redis cannot say), `unacknowledged` what it has read and not
    finished, `waiting` the messages that stand behind a failed one (or were sent again), of `held` phones.
    `oldest_ms` is when the oldest message left that the group has not finished, Unix ms. `holders` are the ids of
    the daemons that deliver, and on `unserved` shards none does. `retry_cause` is why phones are held, if an error is why.
    """

    outlet: ConfiguredSink
    delivered: int
    failures: int
    dead: int
    lag: int | None
    unacknowledged: int
    held: int
    waiting: int
    oldest_ms: int | None
    next_try_ms: int | None
    paused: Pause | None
    holders: tuple[str, ...]
    unserved: int
    retry_cause: RetryCause | None = None


@dataclass(frozen=True, slots=True)
class OrphanedGroup:
    """A sink that is not in the settings and whose consumer group is still there, on these shards.

    `left` counts what its group has not finished (None: Redis cannot say). It is `served` when a daemon delivers to it
    all the same: by other settings.
    """

    sink: str
    left: int | None
    shards: tuple[ShardKeys, ...]
    served: bool


def configured_sinks(settings: Settings) -> list[ConfiguredSink]:
    """Return the configured sinks; those that workers read themselves are not forwarded."""
    return [
        ConfiguredSink(name, one.type, one.worker_group, forwarded=False)
        if one.is_read_by_workers
        else ConfiguredSink(name, one.type, group_name(name))
        for name, one in settings.sinks.items()
    ]


async def pauses(connection: Connection) -> dict[str, Pause]:
    """Return the sinks that stand still, also those that are no longer configured."""
    flat = await connection.call("HGETALL", PAUSED)
    return {name.decode(errors="replace"): _pause(raw) for name, raw in pairs(flat)}


def _pause(raw: bytes) -> Pause:
    try:
        return msgspec.json.decode(raw, type=Pause)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Pause(raw.decode(errors="replace"))


async def resume(connection: Connection, sink: str) -> bool:
    """Let a sink go on; says whether it stood still."""
    return bool(await connection.call("HDEL", PAUSED, sink))


async def sink_statuses(
    connection: Connection,
    shards: Sequence[ShardKeys],
    wanted: Sequence[ConfiguredSink],
    totals: Mapping[str, int],
) -> list[SinkStatus]:
    """Look at every sink on every shard; `totals` are the counters of all shards together."""
    if not wanted:
        return []
    standing = await pauses(connection)
    by_shard = [await _of_shard(connection, shard, wanted) for shard in shards]
    return [
        _sum(outlet, [parts[place] for parts in by_shard], totals, standing.get(outlet.name))
        for place, outlet in enumerate(wanted)
    ]


async def orphaned_groups(
    connection: Connection,
    shards: Sequence[ShardKeys],
    groups: Sequence[GroupLag],
    wanted: Sequence[ConfiguredSink],
) -> list[OrphanedGroup]:
    """Return the sinks that are not in the settings, by the groups of ours that belong to none."""
    by_stream = {shard.out: shard for shard in shards}
    known = {outlet.group for outlet in wanted}
    found: dict[str, list[GroupLag]] = {}
    for group in groups:
        if group.name.startswith(group_name("")) and group.name not in known:
            found.setdefault(group.name.removeprefix(group_name("")), []).append(group)
    return [await _stray(connection, sink, its, by_stream) for sink, its in found.items()]


async def _stray(
    connection: Connection, sink: str, groups: list[GroupLag], shards: Mapping[str, ShardKeys]
) -> OrphanedGroup:
    its = tuple(shards[group.stream] for group in groups)
    leases = await connection.calls([("EXISTS", shard.sink(sink).lease) for shard in its])
    return OrphanedGroup(sink, left_of(groups), its, any(leases))


def left_of(groups: Sequence[GroupLag]) -> int | None:
    """Return how many messages these groups have not finished; None when Redis cannot say."""
    lags = [group.lag for group in groups]
    known = [lag for lag in lags if lag is not None]
    return sum(known) + sum(group.pending for group in groups) if len(known) == len(lags) else None


@dataclass(frozen=True, slots=True)
class _Queue:
    """What one shard keeps for one sink."""

    held: int
    waiting: int
    next_try_ms: int | None
    holder: str


@dataclass(frozen=True, slots=True)
class _Reader:
    """How far one group has read one shard's stream; `last` is the last entry that it was given."""

    lag: int | None
    unacknowledged: int = 0
    last: str = "0-0"


@dataclass(frozen=True, slots=True)
class _Part:
    queue: _Queue
    reader: _Reader
    oldest_ms: int | None
    retry_cause: RetryCause | None


def _sum(
    outlet: ConfiguredSink, parts: list[_Part], totals: Mapping[str, int], paused: Pause | None
) -> SinkStatus:
    lags = [part.reader.lag for part in parts]
    known = [lag for lag in lags if lag is not None]
    holders = [part.queue.holder for part in parts]
    counted = f"sink:{outlet.name}:"
    return SinkStatus(
        outlet=outlet,
        delivered=totals.get(counted + "delivered", 0),
        failures=totals.get(counted + "failures", 0),
        dead=totals.get(counted + "dead", 0),
        lag=sum(known) if len(known) == len(lags) else None,
        unacknowledged=sum(part.reader.unacknowledged for part in parts),
        held=sum(part.queue.held for part in parts),
        waiting=sum(part.queue.waiting for part in parts),
        oldest_ms=min((part.oldest_ms for part in parts if part.oldest_ms is not None), default=None),
        next_try_ms=min(
            (part.queue.next_try_ms for part in parts if part.queue.next_try_ms is not None), default=None
        ),
        paused=paused,
        holders=tuple(dict.fromkeys(holder for holder in holders if holder)),
        unserved=holders.count("") if outlet.forwarded else 0,
        retry_cause=merge_causes(part.retry_cause for part in parts),
    )


async def _of_shard(
    connection: Connection, shard: ShardKeys, wanted: Sequence[ConfiguredSink]
) -> list[_Part]:
    length, queues = await _queues(connection, shard, wanted)
    groups = await _groups(connection, shard, length)
    readers = [_reader(outlet, groups, length) for outlet in wanted]
    oldest = await _oldest(connection, shard, wanted, readers, groups)
    failures = [
        await retry_cause(connection, shard, outlet.name) if queue.held else None
        for outlet, queue in zip(wanted, queues, strict=True)
    ]
    return [_Part(*parts) for parts in zip(queues, readers, oldest, failures, strict=True)]


async def _queues(
    connection: Connection, shard: ShardKeys, wanted: Sequence[ConfiguredSink]
) -> tuple[int, list[_Queue]]:
    commands: list[Command] = [("XLEN", shard.out)]
    for outlet in wanted:
        keys = shard.sink(outlet.name)
        commands += [
            ("ZCARD", keys.retry),
            ("ZCARD", keys.waiting),
            ("ZRANGE", keys.retry, 0, 0, "WITHSCORES"),
            ("GET", keys.lease),
        ]
    length, *flat = await connection.calls(commands)
    return length, [_queue(*flat[i : i + 4]) for i in range(0, len(flat), 4)]


def _queue(held: int, waiting: int, soonest: list[bytes], holder: bytes | None) -> _Queue:
    next_try_ms = int(float(soonest[1])) if soonest else None
    return _Queue(held, waiting, next_try_ms, (holder or b"").decode(errors="replace"))


async def _groups(connection: Connection, shard: ShardKeys, length: int) -> dict[str, _Reader]:
    if not length and not await connection.call("EXISTS", shard.out):
        return {}
    found = [dict(pairs(group)) for group in await connection.call("XINFO", "GROUPS", shard.out)]
    return {group[b"name"].decode(errors="replace"): _group(group) for group in found}


def _group(facts: dict[bytes, Any]) -> _Reader:
    return _Reader(facts.get(b"lag"), facts[b"pending"], facts[b"last-delivered-id"].decode())


def _reader(outlet: ConfiguredSink, groups: Mapping[str, _Reader], length: int) -> _Reader:
    """Return how far a sink has read. Its group is made when it is first served, and then begins with all that is kept."""
    return groups.get(outlet.group) or _Reader(length if outlet.group else None)


async def _oldest(
    connection: Connection,
    shard: ShardKeys,
    wanted: Sequence[ConfiguredSink],
    readers: Sequence[_Reader],
    groups: Mapping[str, _Reader],
) -> list[int | None]:
    """Return, for each sink, when the first entry left that it has not finished, Unix ms."""
    commands: list[Command] = []
    for outlet, reader in zip(wanted, readers, strict=True):
        if reader.unacknowledged and outlet.group in groups:
            commands.append(("XPENDING", shard.out, outlet.group))
        else:
            commands.append(("XRANGE", shard.out, f"({reader.last}", "+", "COUNT", 1))
    answers = await connection.calls(commands)
    return [
        _first_ms(answer) if outlet.group else None for outlet, answer in zip(wanted, answers, strict=True)
    ]


def _first_ms(answer: list[Any]) -> int | None:
    """Read both forms: XPENDING's [count, smallest id, …] and XRANGE's [[id, fields]]."""
    if not answer:
        return None
    first = answer[1] if isinstance(answer[0], int) else answer[0][0]
    return int(first.partition(b"-")[0]) if first else None
