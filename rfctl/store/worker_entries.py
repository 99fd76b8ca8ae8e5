"""Entries that workers have read and not acknowledged: how long, and how often they were delivered.

Redis delivers an entry to a worker, and again to another that claims it. One that comes back again and again kills
every worker that takes it. Bounded: the oldest entries of each group are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rfctl.store import replies

if TYPE_CHECKING:
    from rfctl.store.connection import Connection
    from rfctl.store.output_stream import ConsumerGroup

_LOOKED_AT = 100


@dataclass(frozen=True, slots=True)
class WorkerEntry:
    """One entry that a worker of a group has and has not acknowledged. `idle_ms` is since its last delivery."""

    stream: str
    group: str
    id: str
    consumer: str
    idle_ms: int
    deliveries: int


async def read_worker_entries(connection: Connection, groups: Sequence[ConsumerGroup]) -> list[WorkerEntry]:
    """Return the oldest unacknowledged entries of each of these groups, a hundred at most. Raises RfctlError."""
    busy = [group for group in groups if group.pending]
    if not busy:
        return []
    answers = await connection.calls(
        [("XPENDING", group.stream, group.name, "-", "+", _LOOKED_AT) for group in busy]
    )
    return [
        _parse(group, row)
        for group, answer in zip(busy, answers, strict=True)
        for row in map(replies.array, replies.array(answer))
    ]


def _parse(group: ConsumerGroup, row: Sequence[object]) -> WorkerEntry:
    entry_id, consumer, idle_ms, deliveries = row
    return WorkerEntry(
        group.stream, group.name, replies.text(entry_id), replies.text(consumer), replies.integer(idle_ms), replies.integer(deliveries)
    )  # fmt: skip
