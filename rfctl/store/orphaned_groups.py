"""Consumer groups of sinks that are in the settings no more: what they have not finished is never trimmed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rfctl.store.consumer_groups import ConsumerGroup, group_name
from rfctl.store.deliveries import parse_lease
from rfctl.store.keys import ShardKeys
from rfctl.store.sink_status import ConfiguredSink, count_pending

if TYPE_CHECKING:
    from rfctl.store.connection import Connection


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
    leases = await connection.calls([("GET", shard.sink(sink).lease) for shard in shards])
    now_ms = await connection.now_ms(shards[0])
    is_served = any(parse_lease(lease, now_ms) for lease in leases)
    return OrphanedGroup(sink, count_pending(groups), shards, is_served)
