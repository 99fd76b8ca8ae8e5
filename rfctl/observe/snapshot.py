"""One moment of rfctl on one Redis: its server, the living daemons, the pending batches and the sinks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rfctl.errors import RightsMissingError
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
from rfctl.store.holds import HeldCounts
from rfctl.store.probe import MissingRight, find_user
from rfctl.store.rights import Rights
from rfctl.store.unread import UnreadStream

_FEW = 100
"""Among so many batches the oldest message is read each time."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of rfctl on one Redis. `dead` and `quarantine` count what waits for an operator, over all shards.

    `last_times` says of some totals when they last grew, Unix ms by the clock of Redis.
    `orphaned` are sinks that are not in the settings any more, or not in ours.
    If there are `write_refusals` (why Redis refuses writes), a missing daemon means nothing: a daemon shows that it
    is alive by writing. `last_run` is the server's run id when a daemon last looked. `unread` is the output stream if no group reads it; `missing_rights` are those that our `user` lacks.
    """

    server: ServerInfo
    write_refusals: list[WriteRefusal]
    daemons: list[DaemonRecord]
    pending: PendingSummary
    sinks: list[SinkStatus]
    orphaned: list[OrphanedGroup]
    dead: int
    quarantine: int
    last_times: Mapping[str, int] = field(default_factory=dict)
    unread: UnreadStream | None = None
    last_run: str = ""
    missing_rights: list[MissingRight] = field(default_factory=list)
    allow_eviction: bool = False
    user: str = "default"
    totals_key: str = "rfctl:totals"
    aside: AsideBatches = field(default_factory=AsideBatches)
    """The batches that could not be handed over."""
    held: HeldCounts = field(default_factory=HeldCounts)
    """The people whom somebody on our side talks to."""
    sweep: SweepReport = field(default_factory=SweepReport)
    """What the last sweep found."""
    dead_by: Mapping[str, int] | None = None
    """The dead letters by sink, and by group of workers as `group:NAME`; None: not counted, or too many to look at each."""

    def workers(self) -> Sequence[ConsumerGroup]:
        """Return the groups of the output stream that rfctl does not deliver for: workers read them, or nobody."""
        ours = {status.sink.group for status in self.sinks if status.sink.forwarded}
        orphaned = {group_name(group.sink) for group in self.orphaned}
        return [group for group in self.pending.groups if group.name not in ours | orphaned]


async def take_snapshot(
    store: Store,
    sinks: Sequence[ConfiguredSink],
    *,
    limit: int = 20,
    rights: Rights | None = None,
    allow_eviction: bool = False,
) -> Snapshot:
    """Read the state once, in a few short calls; `next_due` has the `limit` soonest batches. Raises RfctlError.

    It finds out which of these `rights` are missing. `allow_eviction` says that the operator has agreed to an evicting Redis.
    """
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
        last_times=await store.counters.read_last_times(),
        unread=None if pending.groups or not pending.out_length else await store.read_unread_stream(),
        last_run=await store.read_server_run(),
        missing_rights=await _find_missing_rights(store, rights),
        allow_eviction=allow_eviction,
        user=find_user(store.address.url),
        totals_key=store.shards[0].totals,
        aside=await store.batches_aside(),
        held=await store.holds.count(),
        sweep=await store.sweep.read_report(),
    )


async def refresh_snapshot(
    earlier: Snapshot, store: Store, sinks: Sequence[ConfiguredSink], *, limit: int = 20
) -> Snapshot:
    """Return the state of now, and with it what is dear to read from an earlier snapshot. Raises RfctlError.

    Read again are the daemons, who waits, the sinks, and the numbers of dead letters and of unparsed parts. What the server
    says of itself, rights, orphaned groups, holds, batches set aside and the last sweep are those of `earlier`; so is the
    oldest message where many batches wait.
    """
    pending = await store.pending(limit=limit, oldest_among=_FEW)
    if pending.batches > _FEW:
        times = [ms for ms in (pending.oldest_ms, earlier.pending.oldest_ms) if ms is not None]
        pending = replace(pending, oldest_ms=min(times, default=None))
    return replace(
        earlier,
        daemons=await store.daemons.list_alive(),
        pending=pending,
        sinks=await store.sink_statuses(sinks, pending),
        dead=await store.dead_letters.count(),
        quarantine=await store.quarantine.count(),
    )


async def _find_missing_rights(store: Store, rights: Rights | None) -> list[MissingRight]:
    """Return the rights that our user lacks; none if it may not even ask, as a user for reading may not."""
    if rights is None:
        return []
    try:
        return await store.find_missing_rights(rights)
    except RightsMissingError:
        return []
