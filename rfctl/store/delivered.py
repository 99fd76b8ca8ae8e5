"""Finds what a sink has finished within some time, and what of it can be sent again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rfctl.store import replies
from rfctl.store.consumer_groups import group_name, read_group_facts
from rfctl.store.delivery_log import DeliveryLog
from rfctl.store.keys import ShardKeys
from rfctl.store.stream_entry import parse_entry_id, split_message_id
from rfctl.store.stream_pages import StreamPages

if TYPE_CHECKING:
    from rfctl.store.connection import Connection

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Finished:
    """What a sink has finished on one shard: the ids of entries that are in the stream, and how many are there no more."""

    shard: ShardKeys
    entry_ids: tuple[str, ...]
    gone: int


async def find_finished(
    connection: Connection, shards: Sequence[ShardKeys], sink: str, since_ms: int, until_ms: int
) -> list[Finished]:
    """Return what a sink has finished between two times (Unix ms), oldest first on each shard. Raises RfctlError.

    A message counts if the delivery log says so, or if it was handed over in that time. What the sink has not finished,
    or what was sent again and waits, does not count: it will be delivered anyway.
    """
    return [await _find(connection, shard, sink, since_ms, until_ms) for shard in shards]


async def _find(
    connection: Connection, shard: ShardKeys, sink: str, since_ms: int, until_ms: int
) -> Finished:
    logged = {
        split_message_id(delivery.id)[0]
        async for delivery in DeliveryLog(connection, [shard]).iterate(sink=sink, since_ms=since_ms)
        if delivery.outcome == "delivered" and delivery.at_ms <= until_ms
    }
    handed = {entry_id async for entry_id in _list_read(connection, shard, sink, since_ms, until_ms)}
    candidates = sorted(logged | handed, key=parse_entry_id)
    left = await _find_unfinished(connection, shard, sink, candidates)
    ready = [entry_id for entry_id in candidates if entry_id not in left]
    there = await _keep_present(connection, shard, ready)
    return Finished(shard, tuple(there), len(ready) - len(there))


async def _list_read(
    connection: Connection, shard: ShardKeys, sink: str, since_ms: int, until_ms: int
) -> AsyncIterator[str]:
    """Yield the ids of entries that were handed over in that time, as far as the sink's group has read."""
    groups = {replies.text(group["name"]): group for group in await read_group_facts(connection, shard.out)}
    group = groups.get(group_name(sink))
    if group is None:
        return
    last = replies.text(group["last-delivered-id"])
    end = min(f"{until_ms}-{2**63}", last, key=parse_entry_id)
    if parse_entry_id(end) < (since_ms, 0):
        return
    async for entry_id, _ in StreamPages(connection, shard.out, items=2).oldest_first(f"{since_ms}-0", end):
        yield entry_id


async def _find_unfinished(
    connection: Connection, shard: ShardKeys, sink: str, entry_ids: Sequence[str]
) -> set[str]:
    """Return those of these entries that are read and unacknowledged, or were sent again and wait."""
    unfinished: set[str] = set()
    group, bodies = group_name(sink), shard.sink(sink).bodies
    for start in range(0, len(entry_ids), _PAGE):
        page = entry_ids[start : start + _PAGE]
        answers = await connection.calls(
            [("XPENDING", shard.out, group, entry_id, entry_id, 1) for entry_id in page]
            + [("HEXISTS", bodies, entry_id) for entry_id in page]
        )
        halves = zip(page, answers[: len(page)], answers[len(page) :], strict=True)
        unfinished |= {entry_id for entry_id, pending, waits in halves if pending or waits}
    return unfinished


async def _keep_present(connection: Connection, shard: ShardKeys, entry_ids: Sequence[str]) -> list[str]:
    """Return those of these entries that are still in the stream."""
    if not entry_ids:
        return []
    pages = StreamPages(connection, shard.out, items=2).oldest_first(entry_ids[0], entry_ids[-1])
    present = {entry_id async for entry_id, _ in pages}
    return [entry_id for entry_id in entry_ids if entry_id in present]
