"""The status of each sink: what was delivered, what waits, whether it is paused and why, and which daemon delivers.

Nothing is scanned: it takes three short pipelines a shard, and three more for each sink that fails there. It trusts
the consumer groups and what lua/shared/delivery.lua keeps. Redis cannot always tell the lag of a group (after
deletions, and before version 7); it is None then, never a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rfctl.store import replies
from rfctl.store.deliveries import group_name
from rfctl.store.keys import ShardKeys
from rfctl.store.output_stream import ConsumerGroup
from rfctl.store.paused_sinks import Pause
from rfctl.store.pending import PendingSummary
from rfctl.store.retry_queue import RetryCause, merge_causes, retry_cause

if TYPE_CHECKING:
    from rfctl.store.connection import Command, Connection


@dataclass(frozen=True, slots=True)
class ConfiguredSink:
    """One configured sink. `group` reads the output stream for it ("": none does); `forwarded`: rfctl delivers."""

    name: str
    type: str
    group: str
    forwarded: bool = True


@dataclass(frozen=True, slots=True)
class SinkStatus:
    """One sink, over all shards.

    `lag` counts what its group has not read (None: Redis cannot say), `unacknowledged` what it has read and not
    finished. `waiting` messages of `held` phones are failed, stand behind a failed message, or were sent again.
    `oldest_ms` (Unix ms) is when the oldest message that the group has not finished was handed over. `holders` are
    the ids of the daemons that deliver; on `unserved` shards none does. `retry_cause` is the error that holds phones.
    """

    sink: ConfiguredSink
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

    `left` counts what its group has not finished (None: Redis cannot say). It is `served` while a daemon with other
    settings delivers to it.
    """

    sink: str
    left: int | None
    shards: tuple[ShardKeys, ...]
    served: bool


async def sink_statuses(
    connection: Connection,
    shards: Sequence[ShardKeys],
    wanted: Sequence[ConfiguredSink],
    pending: PendingSummary,
    paused: Mapping[str, Pause],
) -> list[SinkStatus]:
    """Return the status of each sink over all shards; `pending` has the totals and the groups."""
    if not wanted:
        return []
    by_shard = [await _of_shard(connection, shard, wanted, pending.groups) for shard in shards]
    return [
        _sum(sink, [parts[place] for parts in by_shard], pending.totals, paused.get(sink.name))
        for place, sink in enumerate(wanted)
    ]


async def orphaned_groups(
    connection: Connection,
    shards: Sequence[ShardKeys],
    groups: Sequence[ConsumerGroup],
    wanted: Sequence[ConfiguredSink],
) -> list[OrphanedGroup]:
    """Return the sinks that are not in the settings, by their consumer groups, which are still there."""
    shard_of = {shard.out: shard for shard in shards}
    configured = {sink.group for sink in wanted}
    by_sink: dict[str, list[ConsumerGroup]] = {}
    for group in groups:
        if group.name.startswith(group_name("")) and group.name not in configured:
            by_sink.setdefault(group.name.removeprefix(group_name("")), []).append(group)
    return [await _orphaned(connection, sink, own, shard_of) for sink, own in by_sink.items()]


async def _orphaned(
    connection: Connection, sink: str, groups: list[ConsumerGroup], shard_of: Mapping[str, ShardKeys]
) -> OrphanedGroup:
    shards = tuple(shard_of[group.stream] for group in groups)
    leases = await connection.calls([("EXISTS", shard.sink(sink).lease) for shard in shards])
    return OrphanedGroup(sink, left_of(groups), shards, any(leases))


def left_of(groups: Sequence[ConsumerGroup]) -> int | None:
    """Return how many messages these groups have not finished; None when Redis cannot say."""
    lag = _sum_or_none(group.lag for group in groups)
    return None if lag is None else lag + sum(group.pending for group in groups)


def _sum_or_none(lags: Iterable[int | None]) -> int | None:
    total = 0
    for lag in lags:
        if lag is None:
            return None
        total += lag
    return total


@dataclass(frozen=True, slots=True)
class _Queue:
    """What one shard keeps for one sink."""

    held: int
    waiting: int
    next_try_ms: int | None
    holder: str


@dataclass(frozen=True, slots=True)
class _Reader:
    """How far one group has read one shard's stream; `last` is the last entry that was delivered to it."""

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
    sink: ConfiguredSink, parts: list[_Part], totals: Mapping[str, int], paused: Pause | None
) -> SinkStatus:
    holders = [part.queue.holder for part in parts]
    prefix = f"sink:{sink.name}:"
    return SinkStatus(
        sink=sink,
        delivered=totals.get(prefix + "delivered", 0),
        failures=totals.get(prefix + "failures", 0),
        dead=totals.get(prefix + "dead", 0),
        lag=_sum_or_none(part.reader.lag for part in parts),
        unacknowledged=sum(part.reader.unacknowledged for part in parts),
        held=sum(part.queue.held for part in parts),
        waiting=sum(part.queue.waiting for part in parts),
        oldest_ms=min((part.oldest_ms for part in parts if part.oldest_ms is not None), default=None),
        next_try_ms=min(
            (part.queue.next_try_ms for part in parts if part.queue.next_try_ms is not None), default=None
        ),
        paused=paused,
        holders=tuple(dict.fromkeys(holder for holder in holders if holder)),
        unserved=holders.count("") if sink.forwarded else 0,
        retry_cause=merge_causes(part.retry_cause for part in parts),
    )


async def _of_shard(
    connection: Connection,
    shard: ShardKeys,
    wanted: Sequence[ConfiguredSink],
    groups_of_all: Sequence[ConsumerGroup],
) -> list[_Part]:
    length, queues = await _queues(connection, shard, wanted)
    groups = {group.name: _group(group) for group in groups_of_all if group.stream == shard.out}
    readers = [_reader(sink, groups, length) for sink in wanted]
    oldest = await _oldest(connection, shard, wanted, readers, groups)
    causes = [
        await retry_cause(connection, shard, sink.name) if queue.held else None
        for sink, queue in zip(wanted, queues, strict=True)
    ]
    return [_Part(*parts) for parts in zip(queues, readers, oldest, causes, strict=True)]


async def _queues(
    connection: Connection, shard: ShardKeys, wanted: Sequence[ConfiguredSink]
) -> tuple[int, list[_Queue]]:
    commands: list[Command] = [("XLEN", shard.out)]
    for sink in wanted:
        keys = shard.sink(sink.name)
        commands += [
            ("ZCARD", keys.retry),
            ("ZCARD", keys.waiting),
            ("ZRANGE", keys.retry, 0, 0, "WITHSCORES"),
            ("GET", keys.lease),
        ]
    length, *flat = await connection.calls(commands)
    return replies.integer(length), [_queue(*flat[i : i + 4]) for i in range(0, len(flat), 4)]


def _queue(held: object, waiting: object, soonest: object, holder: object) -> _Queue:
    next_try_ms = next((score for _, score in replies.scores(soonest)), None)
    return _Queue(replies.integer(held), replies.integer(waiting), next_try_ms, replies.text(holder))


def _group(group: ConsumerGroup) -> _Reader:
    return _Reader(group.lag, group.pending, group.last_delivered_id)


def _reader(sink: ConfiguredSink, groups: Mapping[str, _Reader], length: int) -> _Reader:
    """Return how far a sink has read. A sink without a group yet will begin with the oldest entry that is kept."""
    return groups.get(sink.group) or _Reader(length if sink.group else None)


async def _oldest(
    connection: Connection,
    shard: ShardKeys,
    wanted: Sequence[ConfiguredSink],
    readers: Sequence[_Reader],
    groups: Mapping[str, _Reader],
) -> list[int | None]:
    """Return for each sink when the oldest entry that it has not finished was handed over, Unix ms."""
    commands: list[Command] = []
    for sink, reader in zip(wanted, readers, strict=True):
        if reader.unacknowledged and sink.group in groups:
            commands.append(("XPENDING", shard.out, sink.group))
        else:
            commands.append(("XRANGE", shard.out, f"({reader.last}", "+", "COUNT", 1))
    answers = await connection.calls(commands)
    return [_first_ms(answer) if sink.group else None for sink, answer in zip(wanted, answers, strict=True)]


def _first_ms(reply: object) -> int | None:
    """Return the time in the first id of XPENDING's [count, smallest id, …] or XRANGE's [[id, fields]]."""
    items = replies.array(reply)
    if not items:
        return None
    first = replies.text(items[1] if isinstance(items[0], int) else replies.stream_entry(items[0])[0])
    return int(first.partition("-")[0]) if first else None
