"""Entries that workers have read and not acknowledged: how long, and how often they were delivered.

Redis delivers an entry to a worker, and again to another that claims it. One that comes back again and again kills
every worker that takes it. Bounded: the oldest entries of each group are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rfctl.store import replies
from rfctl.store.consumer_groups import group_name
from rfctl.store.stream_entry import parse_waiting_member

if TYPE_CHECKING:
    from rfctl.store.connection import Command, Connection
    from rfctl.store.consumer_groups import ConsumerGroup
    from rfctl.store.keys import ShardKeys, SinkKeys

LOOKED_AT = 100
"""So many entries of each group are read, the oldest ones."""
_WAITING = 1000


@dataclass(frozen=True, slots=True)
class WorkerEntry:
    """One entry that a worker of a group has and has not acknowledged. `idle_ms` is since its last delivery.

    `has_order`: the workers use `rfctl.worker`, which takes over what another has left, and gives up by itself.
    """

    stream: str
    group: str
    id: str
    consumer: str
    idle_ms: int
    deliveries: int
    has_order: bool = False


def list_again(shards: Sequence[ShardKeys], groups: Sequence[ConsumerGroup]) -> list[ConsumerGroup]:
    """Return the groups that have taken dead letters again, as groups of the streams where those are."""
    by_stream = {shard.out: shard for shard in shards}
    return [
        replace(group, stream=by_stream[group.stream].worker(group.name).again, pending=group.again_pending)
        for group in groups
        if group.again_pending
    ]


async def read_worker_entries(connection: Connection, groups: Sequence[ConsumerGroup]) -> list[WorkerEntry]:
    """Return the oldest unacknowledged entries of each of these groups, a hundred at most. Raises RfctlError."""
    busy = [group for group in groups if group.pending]
    if not busy:
        return []
    answers = await connection.calls(
        [("XPENDING", group.stream, group.name, "-", "+", LOOKED_AT) for group in busy]
    )
    return [
        _parse(group, row)
        for group, answer in zip(busy, answers, strict=True)
        for row in map(replies.array, replies.array(answer))
    ]


def _parse(group: ConsumerGroup, row: Sequence[object]) -> WorkerEntry:
    entry_id, consumer, idle_ms, deliveries = row
    return WorkerEntry(
        group.stream, group.name, replies.text(entry_id), replies.text(consumer), replies.integer(idle_ms),
        replies.integer(deliveries), bool(group.worker_keys),
    )  # fmt: skip


async def read_untried_entries(
    connection: Connection, shards: Sequence[ShardKeys], sinks: Sequence[str], groups: Sequence[ConsumerGroup]
) -> list[WorkerEntry]:
    """Return the oldest entries that these sinks have read, and that neither failed yet nor wait behind one that did.

    Of a sink with very many waiting messages none is returned: which of them wait is not looked up. Raises RfctlError.
    """
    by_group = {(shard.out, group_name(sink)): shard.sink(sink) for shard in shards for sink in sinks}
    entries: list[WorkerEntry] = []
    for group in groups:
        keys = by_group.get((group.stream, group.name))
        if keys is not None and group.pending:
            entries += await _leave_out_waiting(
                connection, keys, await read_worker_entries(connection, [group])
            )
    return entries


async def _leave_out_waiting(
    connection: Connection, keys: SinkKeys, entries: Sequence[WorkerEntry]
) -> list[WorkerEntry]:
    if not entries:
        return []
    commands: list[Command] = [
        ("ZRANGE", keys.waiting, 0, _WAITING),
        ("HMGET", keys.attempts, *(entry.id for entry in entries)),
    ]
    members, histories = await connection.calls(commands)
    waiting = {parse_waiting_member(member) for member in replies.texts(members)}
    if len(waiting) > _WAITING:
        return []
    return [
        entry
        for entry, history in zip(entries, replies.array(histories), strict=True)
        if history is None and entry.id not in waiting
    ]
