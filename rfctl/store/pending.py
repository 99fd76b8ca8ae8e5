"""What is pending and what has been, in a fixed number of short commands: nothing ever scans keys.

The cost goes by how many batches are to be listed, not by how many there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rfctl.model.stored import decode_item
from rfctl.store.connection import Connection, pairs
from rfctl.store.keys import ShardKeys, is_hashed
from rfctl.store.output_stream import ConsumerGroup, OutputStream

OLDEST_AMONG = 1000
"""`PendingSummary.oldest_ms` is exact up to so many pending batches a shard, else among the soonest due."""


@dataclass(frozen=True, slots=True)
class PendingBatch:
    """One pending batch. Times are Unix ms; `last_ms` is None when its mark has expired.

    `name` stands for it in keys, and is the phone unless that must be hidden; `chat` is "" in a one-to-one chat.
    """

    phone: str
    size: int
    due_ms: int
    last_ms: int | None
    name: str
    chat: str = ""


@dataclass(frozen=True, slots=True)
class PendingSummary:
    """What is pending and what has been, over all shards. Times are Unix ms by the clock of Redis."""

    now_ms: int
    batches: int
    messages: int
    overdue: int
    oldest_ms: int | None
    next_due_ms: int | None
    totals: dict[str, int]
    out_length: int
    next_due: list[PendingBatch] = field(default_factory=list)
    groups: list[ConsumerGroup] = field(default_factory=list)


async def read_pending(
    connection: Connection, shards: Sequence[ShardKeys], output: OutputStream, *, limit: int = 20
) -> PendingSummary:
    """Look at every shard; list the `limit` batches that are due soonest."""
    now = await connection.now_ms()
    parts = [await _of_shard(connection, shard, output, now, limit) for shard in shards]
    waiting = sorted((one for part in parts for one in part.next_due), key=lambda one: one.due_ms)
    return PendingSummary(
        now_ms=now,
        batches=sum(part.batches for part in parts),
        messages=sum(part.messages for part in parts),
        overdue=sum(part.overdue for part in parts),
        oldest_ms=min((part.oldest_ms for part in parts if part.oldest_ms is not None), default=None),
        next_due_ms=min((part.next_due_ms for part in parts if part.next_due_ms is not None), default=None),
        totals=_sum(part.totals for part in parts),
        out_length=sum(part.out_length for part in parts),
        next_due=waiting[:limit],
        groups=[group for part in parts for group in part.groups],
    )


def _sum(many: Any) -> dict[str, int]:
    totals: dict[str, int] = {}
    for one in many:
        for name, value in one.items():
            totals[name] = totals.get(name, 0) + value
    return totals


async def _of_shard(
    connection: Connection, shard: ShardKeys, output: OutputStream, now: int, limit: int
) -> PendingSummary:
    most = max(limit, OLDEST_AMONG)
    batches, overdue, head, flat, out_length = await connection.calls(
        [
            ("ZCARD", shard.due),
            ("ZCOUNT", shard.due, "-inf", f"({now}"),
            ("ZRANGE", shard.due, 0, most - 1, "WITHSCORES"),
            ("HGETALL", shard.totals),
            ("XLEN", shard.out),
        ]
    )
    totals = {name.decode(): int(value) for name, value in pairs(flat)}
    dues = [(name.decode(), int(float(score))) for name, score in pairs(head)]
    return PendingSummary(
        now_ms=now,
        batches=batches,
        messages=_pending(totals),
        overdue=overdue,
        oldest_ms=await _oldest(connection, shard, [name for name, _ in dues]),
        next_due_ms=dues[0][1] if dues else None,
        totals=totals,
        out_length=out_length,
        next_due=await _waiting(connection, shard, dues[:limit]),
        groups=await output.groups(shard),
    )


def _pending(totals: dict[str, int]) -> int:
    gone = totals.get("messages_out", 0) + totals.get("messages_discarded", 0)
    return max(0, totals.get("messages_in", 0) - gone)


async def _oldest(connection: Connection, shard: ShardKeys, names: list[str]) -> int | None:
    if not names:
        return None
    firsts = await connection.calls([("LINDEX", shard.batch_prefix + name, 0) for name in names])
    times = [decode_item(first).receivedAt for first in firsts if first is not None]
    return min((time for time in times if time), default=None)


async def _waiting(
    connection: Connection, shard: ShardKeys, dues: list[tuple[str, int]]
) -> list[PendingBatch]:
    if not dues:
        return []
    commands: list[tuple[str | int, ...]] = []
    for name, _ in dues:
        key = shard.batch_prefix + name
        commands += [("LLEN", key), ("GET", shard.last_prefix + name), ("LINDEX", key, 0)]
    flat = await connection.calls(commands)
    found = []
    for place, (name, due) in enumerate(dues):
        size, last, first = flat[place * 3 : place * 3 + 3]
        if size:  # else it has left since the index was read
            phone, chat = _whose(name, first)
            found.append(PendingBatch(phone, size, due, int(last) if last else None, name, chat))
    return found


def _whose(name: str, first_item: bytes | None) -> tuple[str, str]:
    """Return the phone and the chat behind a name; only one that is hashed needs a look into the message."""
    if is_hashed(name) and first_item is not None:
        first = decode_item(first_item)
        return first.phone or name, first.chat
    return name, ""
