"""What `stats` found at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rfctl.store.daemons import DaemonRecord
from rfctl.store.deliveries import group_name
from rfctl.store.pending import GroupLag, PendingSummary
from rfctl.store.server_info import ServerInfo, WriteRefusal
from rfctl.store.sink_status import OrphanedGroup, SinkStatus


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was found. `dead` and `quarantine` count what waits for an operator, over all shards.

    `strays` are sinks that are not in the settings any more, or not in ours.
    With `write_refusals`, why Redis refuses writes, nobody's silence means anything: who lives says so by writing.
    """

    server: ServerInfo
    write_refusals: list[WriteRefusal]
    daemons: list[DaemonRecord]
    seen: PendingSummary
    sinks: list[SinkStatus]
    strays: list[OrphanedGroup]
    dead: int
    quarantine: int

    def workers(self) -> Sequence[GroupLag]:
        """Return the groups of the output stream that rfctl does not read for: workers, or nobody."""
        ours = {one.outlet.group for one in self.sinks if one.outlet.forwarded}
        stray = {group_name(one.sink) for one in self.strays}
        return [group for group in self.seen.groups if group.name not in ours | stray]
