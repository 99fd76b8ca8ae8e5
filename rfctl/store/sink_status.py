"""The status of each sink: what was delivered, what waits, whether it is paused and why, and which daemon delivers.

Nothing is scanned, and no message is read: it takes two short pipelines a shard, a call for each sink there, and three more
for one that fails. The facts are those of the consumer groups, and of the keys that lua/shared/delivery.lua writes. Redis cannot always tell the lag of a
group (after deletions, and before version 7); it is None then, never a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rfctl.store import replies
from rfctl.store.consumer_groups import ConsumerGroup
from rfctl.store.deliveries import parse_lease
from rfctl.store.keys import ShardKeys
from rfctl.store.paused_sinks import Pause
from rfctl.store.pending import PendingSummary
from rfctl.store.retry_queue import RetryCause, merge_causes, read_retry_cause
from rfctl.store.stream_pages import StreamPages

if TYPE_CHECKING:
    from rfctl.store.connection import Command, Connection


@dataclass(frozen=True, slots=True)
class ConfiguredSink:
    """One configured sink. `group` reads the output stream for it ("": none does); `forwarded`: rfctl delivers.

    `patience_ms` is how long nothing may come to an end while something is left.
    """

    name: str
    type: str
    group: str
    forwarded: bool = True
    patience_ms: int = 9000


@dataclass(frozen=True, slots=True)
class SinkStatus:
    """One sink, over all shards.

    `lag` counts what its group has not read (None: Redis cannot say), `unacknowledged` what it has read and not
    finished. `phones_waiting` counts phones that wait for a retry. `messages_waiting` counts their messages: failed,
    behind a failed message, or sent again. `oldest_ms` (Unix ms) is when the oldest message that the group has not
    finished was handed over. `leased_by` are the ids of the daemons that deliver; on `unserved_shards` none does.
    `retry_cause` is why phones wait. `missing` counts messages that vanished from the output stream, the last
    `missing_ago_ms` ago. `stalled_ms` is how long something could be delivered while no attempt has ended (None: nothing
    could be, or nobody delivers). `again` counts dead letters that a group of workers gets again and has not finished.
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
    missing: int = 0
    missing_ago_ms: int | None = None
    stalled_ms: int | None = None
    again: int = 0


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
    by_shard = [
        await _read_shard(connection, shard, sinks, pending.groups, pending.now_ms) for shard in shards
    ]
    return [
        _sum(sink, [parts[place] for parts in by_shard], pending.totals, paused.get(sink.name))
        for place, sink in enumerate(sinks)
    ]


def count_pending(groups: Sequence[ConsumerGroup]) -> int | None:
    """Return how many messages of the output stream these groups have not finished; None when Redis cannot say."""
    lag = sum_lags(group.lag for group in groups)
    return None if lag is None else lag + sum(group.pending for group in groups)


def count_left(status: SinkStatus) -> int | None:
    """Return how many messages a sink has not finished; None when Redis cannot say."""
    return None if status.lag is None else status.lag + status.unacknowledged + status.again


def sum_lags(lags: Iterable[int | None]) -> int | None:
    """Return how many messages are unread in all; None when Redis cannot say it of each."""
    total = 0
    for lag in lags:
        if lag is None:
            return None
        total += lag
    return total


@dataclass(frozen=True, slots=True)
class _Queue:
    """What one shard keeps for one sink. `ended_ms` is when an attempt ended last (steady Unix ms)."""

    phones_waiting: int
    messages_waiting: int
    next_retry_ms: int | None
    leased_by: str
    ended_ms: int
    missing_ms: int | None


@dataclass(frozen=True, slots=True)
class _Reader:
    """How far one group has read one shard's stream; `last` is the last entry that was delivered to it."""

    lag: int | None
    unacknowledged: int = 0
    last: str = "0-0"
    again: int = 0


@dataclass(frozen=True, slots=True)
class _Part:
    """What one shard says about one sink at `now_ms`; the server's clock is `step_ms` ahead of that."""

    queue: _Queue
    reader: _Reader
    oldest_ms: int | None
    retry_cause: RetryCause | None
    now_ms: int
    step_ms: int

    @property
    def stalled_ms(self) -> int | None:
        """How long something could be delivered while no attempt has ended."""
        since_ms = self._deliverable_since_ms
        if since_ms is None or not self.queue.leased_by:
            return None
        return max(0, self.now_ms - max(since_ms, self.queue.ended_ms))

    @property
    def _deliverable_since_ms(self) -> int | None:
        """Since when something could be delivered: it is unread or on its way, or its retry is due (steady Unix ms)."""
        if self.oldest_ms is None and not self.queue.messages_waiting:
            return None
        if not self.reader.lag and self.reader.unacknowledged <= self.queue.messages_waiting:
            due_ms = self.queue.next_retry_ms
            return due_ms if due_ms is not None and due_ms <= self.now_ms else None
        return None if self.oldest_ms is None else self.oldest_ms - self.step_ms

    @property
    def missing_ago_ms(self) -> int | None:
        """How long ago a message was missing."""
        return None if self.queue.missing_ms is None else max(0, self.now_ms - self.queue.missing_ms)


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
        lag=sum_lags(part.reader.lag for part in parts),
        unacknowledged=sum(part.reader.unacknowledged for part in parts),
        phones_waiting=sum(part.queue.phones_waiting for part in parts),
        messages_waiting=sum(part.queue.messages_waiting for part in parts),
        oldest_ms=min(_present(part.oldest_ms for part in parts), default=None),
        next_retry_ms=min(_present(part.queue.next_retry_ms for part in parts), default=None),
        paused=paused,
        leased_by=tuple(dict.fromkeys(daemon_id for daemon_id in daemon_ids if daemon_id)),
        unserved_shards=daemon_ids.count("") if sink.forwarded else 0,
        retry_cause=merge_causes(part.retry_cause for part in parts),
        missing=totals.get(prefix + "missing", 0),
        missing_ago_ms=min(_present(part.missing_ago_ms for part in parts), default=None),
        stalled_ms=max(_present(part.stalled_ms for part in parts), default=None),
        again=sum(part.reader.again for part in parts),
    )


def _present(numbers: Iterable[int | None]) -> list[int]:
    return [number for number in numbers if number is not None]


async def _read_shard(
    connection: Connection,
    shard: ShardKeys,
    sinks: Sequence[ConfiguredSink],
    groups_of_all: Sequence[ConsumerGroup],
    now_ms: int,
) -> list[_Part]:
    length, step_ms, queues = await _read_queues(connection, shard, sinks, now_ms)
    groups = {group.name: _as_reader(group) for group in groups_of_all if group.stream == shard.out}
    readers = [_find_reader(sink, groups, length) for sink in sinks]
    oldest = await _read_oldest(connection, shard, sinks, readers, groups)
    causes = [
        await read_retry_cause(connection, shard, sink.name, step_ms) if queue.phones_waiting else None
        for sink, queue in zip(sinks, queues, strict=True)
    ]
    return [
        _Part(*parts, now_ms=now_ms, step_ms=step_ms)
        for parts in zip(queues, readers, oldest, causes, strict=True)
    ]


async def _read_queues(
    connection: Connection, shard: ShardKeys, sinks: Sequence[ConfiguredSink], now_ms: int
) -> tuple[int, int, list[_Queue]]:
    """Return the length of the output stream, how far the server's clock is ahead (ms), and the queue of each sink."""
    commands: list[Command] = [("XLEN", shard.out), ("HGET", shard.clock, "step")]
    for sink in sinks:
        keys = shard.sink(sink.name)
        commands += [
            ("ZCARD", keys.retry),
            ("ZCARD", keys.waiting),
            ("ZRANGE", keys.retry, 0, 0, "WITHSCORES"),
            ("GET", keys.lease),
            ("HMGET", keys.progress, "ended_ms", "missing_ms"),
        ]
    length, step, *flat = await connection.calls(commands)
    queues = [_decode_queue(now_ms, *flat[i : i + 5]) for i in range(0, len(flat), 5)]
    return replies.integer(length), replies.integer(step or 0), queues


def _decode_queue(
    now_ms: int, phones: object, messages: object, soonest: object, lease: object, progress: object
) -> _Queue:
    ended_ms, missing_ms = replies.array(progress)
    return _Queue(
        replies.integer(phones),
        replies.integer(messages),
        next((score for _, score in replies.scores(soonest)), None),
        parse_lease(lease, now_ms),
        replies.integer(ended_ms or 0),
        None if missing_ms is None else replies.integer(missing_ms),
    )


def _as_reader(group: ConsumerGroup) -> _Reader:
    return _Reader(group.lag, group.pending, group.last_delivered_id, group.again + group.again_pending)


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
    """Return for each sink when the oldest entry that it has not finished was handed over, Unix ms.

    Only ids are read: an entry may be long.
    """
    firsts: list[str | None] = []
    for sink, reader in zip(sinks, readers, strict=True):
        if not sink.group:
            firsts.append(None)
        elif reader.unacknowledged and sink.group in groups:
            _, smallest, *_ = replies.array(await connection.call("XPENDING", shard.out, sink.group))
            firsts.append(replies.text(smallest))
        else:
            firsts.append(await StreamPages(connection, shard.out, items=2).find_first_id(f"({reader.last}"))
    return [int(first.partition("-")[0]) if first else None for first in firsts]
