"""A summary of what is pending, and the totals, in a fixed number of short commands that never scan keys.

The cost grows with how many batches are listed, not with how many there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rfctl.store import replies
from rfctl.store.batch_heads import BatchHead, read_heads, read_oldest
from rfctl.store.batch_keys import is_hashed
from rfctl.store.consumer_groups import ConsumerGroup
from rfctl.store.keys import ShardKeys
from rfctl.store.output_stream import OutputStream

if TYPE_CHECKING:
    from rfctl.store.connection import Connection

OLDEST_AMONG = 1000
"""`PendingSummary.oldest_ms` is exact up to so many pending batches a shard, else among the soonest due."""


@dataclass(frozen=True, slots=True)
class PendingBatch:
    """One pending batch. Times are Unix ms; `last_ms` is None when the key of its last message has expired.

    `batch_key` stands for it in keys: the phone itself, or a hash of it. `chat` is "" in a one-to-one chat.
    `received_ms` is when its first message came (None: no message tells it), `text` how that begins; `channel` names its
    source. `is_held` says that somebody on our side talks to them.
    """

    phone: str
    size: int
    due_ms: int
    last_ms: int | None
    batch_key: str
    chat: str = ""
    received_ms: int | None = None
    channel: str = ""
    account: str = ""
    text: str = ""
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class PendingSummary:
    """What is pending, and the totals so far, over all shards. Times are Unix ms by the clock of Redis."""

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
    connection: Connection,
    shards: Sequence[ShardKeys],
    output: OutputStream,
    *,
    limit: int = 20,
    oldest_among: int = OLDEST_AMONG,
) -> PendingSummary:
    """Return the summary of every shard; it lists the `limit` batches that are due soonest.

    `oldest_ms` is the oldest of so many of them a shard.
    """
    now = await connection.now_ms(shards[0])
    parts = [await _of_shard(connection, shard, output, now, limit, oldest_among) for shard in shards]
    next_due = sorted((batch for part in parts for batch in part.next_due), key=lambda batch: batch.due_ms)
    return PendingSummary(
        now_ms=now,
        batches=sum(part.batches for part in parts),
        messages=sum(part.messages for part in parts),
        overdue=sum(part.overdue for part in parts),
        oldest_ms=min((part.oldest_ms for part in parts if part.oldest_ms is not None), default=None),
        next_due_ms=min((part.next_due_ms for part in parts if part.next_due_ms is not None), default=None),
        totals=_sum(part.totals for part in parts),
        out_length=sum(part.out_length for part in parts),
        next_due=next_due[:limit],
        groups=[group for part in parts for group in part.groups],
    )


def _sum(all_totals: Iterable[Mapping[str, int]]) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for totals in all_totals:
        sums.update(totals)
    return dict(sums)


async def _of_shard(
    connection: Connection, shard: ShardKeys, output: OutputStream, now: int, limit: int, oldest_among: int
) -> PendingSummary:
    head_size = max(limit, oldest_among, 1)
    batches, overdue, head, flat, out_length = await connection.calls(
        [
            ("ZCARD", shard.due),
            ("ZCOUNT", shard.due, "-inf", f"({now}"),
            ("ZRANGE", shard.due, 0, head_size - 1, "WITHSCORES"),
            ("HGETALL", shard.totals),
            ("XLEN", shard.out),
        ]
    )
    totals, dues = replies.counts(flat), replies.scores(head)
    return PendingSummary(
        now_ms=now,
        batches=replies.integer(batches),
        messages=_messages(totals),
        overdue=replies.integer(overdue),
        oldest_ms=await read_oldest(connection, shard, [batch_key for batch_key, _ in dues[:oldest_among]]),
        next_due_ms=dues[0][1] if dues else None,
        totals=totals,
        out_length=replies.integer(out_length),
        next_due=await _next_due(connection, shard, dues[:limit], now),
        groups=await output.groups(shard),
    )


def _messages(totals: Mapping[str, int]) -> int:
    gone = totals.get("messages_out", 0) + totals.get("messages_discarded", 0)
    return max(0, totals.get("messages_in", 0) - gone)


async def _next_due(
    connection: Connection, shard: ShardKeys, dues: list[tuple[str, int]], now: int
) -> list[PendingBatch]:
    if not dues:
        return []
    keys = [batch_key for batch_key, _ in dues]
    ends, *lasts = await connection.calls(
        [("ZMSCORE", shard.held, *keys), *(("GET", shard.last_prefix + key) for key in keys)]
    )
    heads = await read_heads(connection, shard, keys, with_texts=True)
    return [
        _build_batch(key, due, heads[key], last, is_held=end is not None and float(replies.text(end)) > now)
        for (key, due), last, end in zip(dues, lasts, replies.array(ends), strict=True)
        if heads[key].size  # else it has left since the index was read
    ]


def _build_batch(batch_key: str, due: int, head: BatchHead, last: object, *, is_held: bool) -> PendingBatch:
    phone, chat = (head.phone or batch_key, head.chat) if is_hashed(batch_key) else (batch_key, "")
    last_ms = replies.integer(last) if last else None
    return PendingBatch(
        phone, head.size, due, last_ms, batch_key, chat, head.received_ms or None, head.channel, head.account,
        head.text, is_held,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class PendingCounts:
    """How much is pending, and the totals so far, over all shards. `next_due` has batch key, size and due in ms."""

    batches: int
    messages: int
    totals: dict[str, int]
    next_due: list[tuple[str, int, int]]


async def read_counts(
    connection: Connection, shards: Sequence[ShardKeys], *, limit: int = 10
) -> PendingCounts:
    """Return what is pending without a look at any message; it lists the `limit` batches that are due soonest."""
    now = await connection.now_ms(shards[0])
    batches, all_totals, next_due = 0, [], []
    for shard in shards:
        count, flat, head = await connection.calls(
            [
                ("ZCARD", shard.due),
                ("HGETALL", shard.totals),
                ("ZRANGE", shard.due, 0, limit - 1, "WITHSCORES"),
            ]
        )
        batches += replies.integer(count)
        all_totals.append(replies.counts(flat))
        next_due += [(due - now, batch_key, shard) for batch_key, due in replies.scores(head)]
    soonest = sorted(next_due, key=lambda batch: batch[0])[:limit]
    sizes = await connection.calls([("LLEN", shard.batch_prefix + key) for _, key, shard in soonest])
    totals = _sum(all_totals)
    return PendingCounts(
        batches,
        _messages(totals),
        totals,
        [(key, replies.integer(size), due) for (due, key, _), size in zip(soonest, sizes, strict=True)],
    )
