"""What waits for another attempt at a sink, and why: reads what lua/shared/delivery.lua keeps, for an operator.

Of a sink it reads a few held phones, of a phone everything that waits. The cost does not grow with the queue.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rfctl.model.delivery import delivery_id
from rfctl.store import replies
from rfctl.store.dead_letters import Attempt, attempts_in
from rfctl.store.keys import ShardKeys, SinkKeys
from rfctl.store.stream_entry import waiting_id

if TYPE_CHECKING:
    from rfctl.store.connection import Command, Connection

END = 25
"""A `RetryCause` is exact up to twice so many held phones a shard; else it covers both ends of the schedule."""


@dataclass(frozen=True, slots=True)
class RetryCause:
    """Why phones are held: the latest error and its time, and when the first of the errors was (Unix ms)."""

    error: str
    at_ms: int
    since_ms: int


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    """What of one phone waits for one sink: how many messages, and the first one's id and attempts.

    `last` is None before the first attempt, `next_try_ms` (Unix ms) when the phone is no longer held.
    """

    sink: str
    messages: int
    id: str
    attempts: int
    last: Attempt | None
    next_try_ms: int | None


async def retry_cause(connection: Connection, shard: ShardKeys, sink: str) -> RetryCause | None:
    """Return why a sink's phones are held on one shard; None when no error is stored."""
    keys = shard.sink(sink)
    soonest, latest = await connection.calls(
        [("ZRANGE", keys.retry, 0, END - 1), ("ZRANGE", keys.retry, -END, -1)]
    )
    names = dict.fromkeys([*replies.texts(soonest), *replies.texts(latest)])
    firsts = await connection.calls([_first(keys, name) for name in names])
    ids = [waiting_id(member) for first in firsts for member in replies.texts(first)]
    if not ids:
        return None
    histories = replies.array(await connection.call("HMGET", keys.attempts, *ids))
    return _cause([attempt for history in histories for attempt in attempts_in(replies.data(history))])


def _cause(attempts: Sequence[Attempt]) -> RetryCause | None:
    if not attempts:
        return None
    last = max(attempts, key=lambda attempt: attempt.at_ms)
    return RetryCause(last.error, last.at_ms, min(attempt.at_ms for attempt in attempts))


def merge_causes(causes: Iterable[RetryCause | None]) -> RetryCause | None:
    """Return the cause over all shards: the latest error, and since when the first has failed."""
    present = [cause for cause in causes if cause is not None]
    if not present:
        return None
    last = max(present, key=lambda cause: cause.at_ms)
    return RetryCause(last.error, last.at_ms, min(cause.since_ms for cause in present))


async def pending_deliveries(
    connection: Connection, shards: Sequence[ShardKeys], sinks: Sequence[str], name: str
) -> list[PendingDelivery]:
    """Return what of a phone (`name` stands for it in keys) waits for each of these sinks on each shard."""
    places = [(shard, sink) for shard in shards for sink in sinks]
    commands = [command for shard, sink in places for command in _about(shard.sink(sink), name)]
    flat = await connection.calls(commands)
    answers = [flat[i : i + 3] for i in range(0, len(flat), 3)]
    waits = [
        (place, replies.integer(count), waiting_id(member), score)
        for place, (count, first, score) in zip(places, answers, strict=True)
        for member in replies.texts(first)
    ]
    histories = await connection.calls(
        [("HGET", shard.sink(sink).attempts, entry_id) for (shard, sink), _, entry_id, _ in waits]
    )
    return [
        _pending(*place, count, entry_id, score, attempts_in(replies.data(history)))
        for (place, count, entry_id, score), history in zip(waits, histories, strict=True)
    ]


def _about(keys: SinkKeys, name: str) -> list[Command]:
    low, high = _bounds(name)
    return [("ZLEXCOUNT", keys.waiting, low, high), _first(keys, name), ("ZSCORE", keys.retry, name)]


def _pending(
    shard: ShardKeys, sink: str, count: int, entry_id: str, score: object, attempts: tuple[Attempt, ...]
) -> PendingDelivery:
    next_try_ms = None if score is None else replies.score(score)
    last = attempts[-1] if attempts else None
    return PendingDelivery(sink, count, delivery_id(entry_id, shard.number), len(attempts), last, next_try_ms)


def _first(keys: SinkKeys, name: str) -> Command:
    return ("ZRANGEBYLEX", keys.waiting, *_bounds(name), "LIMIT", 0, 1)


def _bounds(name: str) -> tuple[str, str]:
    """Return the range in which the members of one name stand: `name NUL id`."""
    return f"[{name}\0", f"({name}\1"
