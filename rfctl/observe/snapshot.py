"""One moment of rfctl on one Redis: its server, the living daemons, the pending batches and the sinks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rfctl.store import (
    AsideBatches,
    ConfiguredSink,
    ConsumerGroup,
    DaemonRecord,
    OrphanedGroup,
    PendingSummary,
    ServerInfo,
    SinkStatus,
    Store,
    SweepReport,
    WriteRefusal,
    group_name,
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of rfctl on one Redis. `dead` and `quarantine` count what waits for an operator, over all shards.

    `orphaned` are sinks that are not in the settings any more, or not in ours.
    If there are `write_refusals` (why Redis refuses writes), a missing daemon means nothing: a daemon shows that it
    is alive by writing.
    """

    server: ServerInfo
    write_refusals: list[WriteRefusal]
    daemons: list[DaemonRecord]
    pending: PendingSummary
    sinks: list[SinkStatus]
    orphaned: list[OrphanedGroup]
    dead: int
    quarantine: int
    aside: AsideBatches = field(default_factory=AsideBatches)
    """The batches that could not be handed over."""
    sweep: SweepReport = field(default_factory=SweepReport)
    """What the last sweep found."""

    def workers(self) -> Sequence[ConsumerGroup]:
        """Return the groups of the output stream that rfctl does not deliver for: workers read them, or nobody."""
        ours = {status.sink.group for status in self.sinks if status.sink.forwarded}
        orphaned = {group_name(group.sink) for group in self.orphaned}
        return [group for group in self.pending.groups if group.name not in ours | orphaned]


async def take_snapshot(store: Store, sinks: Sequence[ConfiguredSink], *, limit: int = 20) -> Snapshot:
    """Read the state once, in a few short calls; `next_due` has the `limit` soonest batches. Raises RfctlError."""
    pending = await store.pending(limit=limit)
    return Snapshot(
        server=await store.server_info(),
        write_refusals=await store.write_refusals(),
        daemons=await store.daemons.list_alive(),
        pending=pending,
        sinks=await store.sink_statuses(sinks, pending),
        orphaned=await store.orphaned_groups(sinks, pending.groups),
        dead=await store.dead_letters.count(),
        quarantine=await store.quarantine.count(),
        aside=await store.batches_aside(),
        sweep=await store.sweep.read_report(),
    )
