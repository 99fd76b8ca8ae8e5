"""What waits for another try at a sink, and why: how an operator reads what lua/sink.lua keeps.

Of a sink a few held phones are looked at, of a phone all that waits; the cost does not go by what waits there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rfctl.model.delivery import delivery_id
from rfctl.store.connection import Command, Connection
from rfctl.store.dead_letters import Attempt, attempts_in
from rfctl.store.keys import ShardKeys, SinkKeys
from rfctl.store.stream_entry import plain_id

END = 25
"""A `RetryCause` is exact up to twice so many held phones a shard, else it is of those at both ends of the schedule."""


@dataclass(frozen=True, slots=True)
class RetryCause:
    """Why phones are held: the latest error and its time, and since when what waits has failed (Unix ms)."""

    error: str
    at_ms: int
    since_ms: int


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    """What of one phone waits for one sink: how many messages, and of the first its id and what came of its tries.

    `last` is None when it was not tried yet, `next_try_ms` (Unix ms) when the phone is held no more.
    """

    sink: str
    messages: int
    id: str
    attempts: int
    last: Attempt | None
    next_try_ms: int | None


async def retry_cause(connection: Connection, shard: ShardKeys, sink: str) -> RetryCause | None:
    """Return why a sink's phones are held on one shard; None when no error is known."""
    keys = shard.sink(sink)
    soonest, latest = await connection.calls(
        [("ZRANGE", keys.retry, 0, END - 1), ("ZRANGE", keys.retry, -END, -1)]
    )
    names = dict.fromkeys(_text(name) for name in (*soonest, *latest))
    firsts = await connection.calls([_first(keys, name) for name in names])
    ids = [_id(found[0]) for found in firsts if found]
    if not ids:
        return None
    histories = await connection.call("HMGET", keys.attempts, *ids)
    return _failure([one for history in histories for one in attempts_in(history)])


def _failure(attempts: Sequence[Attempt]) -> RetryCause | None:
    if not attempts:
        return None
    last = max(attempts, key=lambda one: one.at_ms)
    return RetryCause(last.error, last.at_ms, min(one.at_ms for one in attempts))


def merge_causes(failures: Iterable[RetryCause | None]) -> RetryCause | None:
    """Return the failure of all shards together."""
    known = [one for one in failures if one is not None]
    if not known:
        return None
    last = max(known, key=lambda one: one.at_ms)
    return RetryCause(last.error, last.at_ms, min(one.since_ms for one in known))


async def pending_deliveries(
    connection: Connection, shards: Sequence[ShardKeys], sinks: Sequence[str], name: str
) -> list[PendingDelivery]:
    """Return what of a phone, by the name that stands for it, waits for each of these sinks on each shard."""
    places = [(shard, sink) for shard in shards for sink in sinks]
    commands = [one for shard, sink in places for one in _about(shard.sink(sink), name)]
    flat = await connection.calls(commands)
    answers = [flat[i : i + 3] for i in range(0, len(flat), 3)]
    waits = [
        (place, count, _id(first[0]), score)
        for place, (count, first, score) in zip(places, answers, strict=True)
        if first
    ]
    histories = await connection.calls(
        [("HGET", shard.sink(sink).attempts, entry_id) for (shard, sink), _, entry_id, _ in waits]
    )
    return [
        _held(*place, count, entry_id, score, attempts_in(history))
        for (place, count, entry_id, score), history in zip(waits, histories, strict=True)
    ]


def _about(keys: SinkKeys, name: str) -> list[Command]:
    low, high = _bounds(name)
    return [("ZLEXCOUNT", keys.waiting, low, high), _first(keys, name), ("ZSCORE", keys.retry, name)]


def _held(
    shard: ShardKeys, sink: str, count: int, entry_id: str, score: bytes | None, attempts: tuple[Attempt, ...]
) -> PendingDelivery:
    next_try_ms = None if score is None else int(float(score))
    last = attempts[-1] if attempts else None
    return PendingDelivery(sink, count, delivery_id(entry_id, shard.number), len(attempts), last, next_try_ms)


def _first(keys: SinkKeys, name: str) -> Command:
    return ("ZRANGEBYLEX", keys.waiting, *_bounds(name), "LIMIT", 0, 1)


def _bounds(name: str) -> tuple[str, str]:
    """Return between what all that waits for a name stands: `name NUL id`, and nobody else's."""
    return f"[{name}\0", f"({name}\1"


def _id(member: bytes) -> str:
    return plain_id(_text(member).rpartition("\0")[2])


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")
