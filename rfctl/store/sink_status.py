"""The status of each sink: what was delivered, what waits, whether it is paused and why, and which daemon delivers.

Nothing is scanned: it takes three short pipelines a shard, and three more for each sink that fails there. The facts are
those of the consumer groups, and of the keys that lua/shared/delivery.lua writes. Redis cannot always tell the lag of a
group (after deletions, and before version 7); it is None then, never a guess.
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
from rfctl.store.retry_queue import RetryCause, merge_causes, read_retry_cause

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
    finished. `phones_waiting` counts phones that wait for a retry. `messages_waiting` counts their messages: failed,
    behind a failed message, or sent again. `oldest_ms` (Unix ms) is when the oldest message that the group has not
    finished was handed over. `leased_by` are the ids of the daemons that deliver; on `unserved_shards` none does.
    `retry_cause` is why phones wait.
    """

    sink: ConfiguredSink
    delivered: int
    failures: int
    dead: int
    lag: int | None
    unacknowledged: int
    phones_waiting: int
    messages_waiting: int
    oldest_ms: int | None
    next_retry_ms: int | None
    paused: Pause | None
    leased_by: tuple[str, ...]
    unserved_shards: int
    retry_cause: RetryCause | None = None


@dataclass(frozen=True, slots=True)
class OrphanedGroup:
    """A sink that is not in the settings and whose consumer group is still there, on these shards.

    `pending` counts the messages that its group has not finished (None: Redis cannot say). It is `served` while a
    daemon with other settings delivers to it.
    """

    sink: str
    pending: int | None
    shards: tuple[ShardKeys, ...]
    served: bool


async def read_sink_statuses(
    connection: Connection,
    shards: Sequence[ShardKeys],
    sinks: Sequence[ConfiguredSink],
    pending: PendingSummary,
    paused: Mapping[str, Pause],
) -> list[SinkStatus]:
    """Return the status of each sink over all shards; `pending` has the totals and the groups."""
    if not sinks:
        return []
    by_shard = [await _read_shard(connection, shard, sinks, pending.groups) for shard in shards]
    return [
        _sum(sink, [parts[place] for parts in by_shard], pending.totals, paused.get(sink.name))
        for place, sink in enumerate(sinks)
    ]


async def read_orphaned_groups(
    connection: Connection,
    shards: Sequence[ShardKeys],
    groups: Sequence[ConsumerGroup],
    sinks: Sequence[ConfiguredSink],
) -> list[OrphanedGroup]:
    """Return the sinks that are not in the settings, by their consumer groups, which are still there."""
    shard_of = {shard.out: shard for shard in shards}
    configured = {sink.group for sink in sinks}
    by_sink: dict[str, list[ConsumerGroup]] = {}
    for group in groups:
        if group.name.startswith(group_name("")) and group.name not in configured:
            by_sink.setdefault(group.name.removeprefix(group_name("")), []).append(group)
    return [await _read_orphan(connection, sink, own, shard_of) for sink, own in by_sink.items()]


async def _read_orphan(
    connection: Connection, sink: str, groups: list[ConsumerGroup], shard_of: Mapping[str, ShardKeys]
) -> OrphanedGroup:
    shards = tuple(shard_of[group.stream] for group in groups)
    leases = await connection.calls([("EXISTS", shard.sink(sink).lease) for shard in shards])
    return OrphanedGroup(sink, count_pending(groups), shards, any(leases))


def count_pending(groups: Sequence[ConsumerGroup]) -> int | None:
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

    phones_waiting: int
    messages_waiting: int
    next_retry_ms: int | None
    leased_by: str


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
    daemon_ids = [part.queue.leased_by for part in parts]
    prefix = f"sink:{sink.name}:"
    return SinkStatus(
        sink=sink,
        delivered=totals.get(prefix + "delivered", 0),
        failures=totals.get(prefix + "failures", 0),
        dead=totals.get(prefix + "dead", 0),
        lag=_sum_or_none(part.reader.lag for part in parts),
        unacknowledged=sum(part.reader.unacknowledged for part in parts),
        phones_waiting=sum(part.queue.phones_waiting for part in parts),
        messages_waiting=sum(part.queue.messages_waiting for part in parts),
        oldest_ms=min((part.oldest_ms for part in parts if part.oldest_ms is not None), default=None),
        next_retry_ms=min(
            (part.queue.next_retry_ms for part in parts if part.queue.next_retry_ms is not None), default=None
        ),
        paused=paused,
        leased_by=tuple(dict.fromkeys(daemon_id for daemon_id in daemon_ids if daemon_id)),
        unserved_shards=daemon_ids.count("") if sink.forwarded else 0,
        retry_cause=merge_causes(part.retry_cause for part in parts),
    )


async def _read_shard(
    connection: Connection,
    shard: ShardKeys,
    sinks: Sequence[ConfiguredSink],
    groups_of_all: Sequence[ConsumerGroup],
) -> list[_Part]:
    length, queues = await _read_queues(connection, shard, sinks)
    groups = {group.name: _as_reader(group) for group in groups_of_all if group.stream == shard.out}
    readers = [_find_reader(sink, groups, length) for sink in sinks]
    oldest = await _read_oldest(connection, shard, sinks, readers, groups)
    causes = [
        await read_retry_cause(connection, shard, sink.name) if queue.phones_waiting else None
        for sink, queue in zip(sinks, queues, strict=True)
    ]
    return [_Part(*parts) for parts in zip(queues, readers, oldest, causes, strict=True)]


async def _read_queues(
    connection: Connection, shard: ShardKeys, sinks: Sequence[ConfiguredSink]
) -> tuple[int, list[_Queue]]:
    commands: list[Command] = [("XLEN", shard.out)]
    for sink in sinks:
        keys = shard.sink(sink.name)
        commands += [
            ("ZCARD", keys.retry),
            ("ZCARD", keys.waiting),
            ("ZRANGE", keys.retry, 0, 0, "WITHSCORES"),
            ("GET", keys.lease),
        ]
    length, *flat = await connection.calls(commands)
    return replies.integer(length), [_decode_queue(*flat[i : i + 4]) for i in range(0, len(flat), 4)]


def _decode_queue(phones: object, messages: object, soonest: object, daemon_id: object) -> _Queue:
    next_retry_ms = next((score for _, score in replies.scores(soonest)), None)
    return _Queue(replies.integer(phones), replies.integer(messages), next_retry_ms, replies.text(daemon_id))


def _as_reader(group: ConsumerGroup) -> _Reader:
    return _Reader(group.lag, group.pending, group.last_delivered_id)


def _find_reader(sink: ConfiguredSink, groups: Mapping[str, _Reader], length: int) -> _Reader:
    """Return how far a sink has read. A sink without a group yet will begin with the oldest entry that is kept."""
    return groups.get(sink.group) or _Reader(length if sink.group else None)


async def _read_oldest(
    connection: Connection,
    shard: ShardKeys,
    sinks: Sequence[ConfiguredSink],
    readers: Sequence[_Reader],
    groups: Mapping[str, _Reader],
) -> list[int | None]:
    """Return for each sink when the oldest entry that it has not finished was handed over, Unix ms."""
    commands: list[Command] = []
    for sink, reader in zip(sinks, readers, strict=True):
        if reader.unacknowledged and sink.group in groups:
            commands.append(("XPENDING", shard.out, sink.group))
        else:
            commands.append(("XRANGE", shard.out, f"({reader.last}", "+", "COUNT", 1))
    answers = await connection.calls(commands)
    return [_first_ms(answer) if sink.group else None for sink, answer in zip(sinks, answers, strict=True)]


def _first_ms(reply: object) -> int | None:
    """Return the time in the first id of XPENDING's [count, smallest id, …] or XRANGE's [[id, fields]]."""
    items = replies.array(reply)
    if not items:
        return None
    first = replies.text(items[1] if isinstance(items[0], int) else replies.stream_entry(items[0])[0])
    return int(first.partition("-")[0]) if first else None
