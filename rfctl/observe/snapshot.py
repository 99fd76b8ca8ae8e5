"""What `stats` found at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rfctl.store.daemons import Daemon
from rfctl.store.deliveries import group_of
from rfctl.store.pending import GroupLag, Overview
from rfctl.store.server_info import Refusal, Server
from rfctl.store.sink_status import Outflow, Stray


@dataclass(frozen=True, slots=True)
class Look:
    """What was found. `dead` and `quarantine` count what waits for an operator, over all shards.

    `strays` are sinks that are not in the settings any more, or not in ours.
    With `refusals`, why Redis refuses writes, nobody's silence means anything: who lives says so by writing.
    """

    server: Server
    refusals: list[Refusal]
    daemons: list[Daemon]
    seen: Overview
    sinks: list[Outflow]
    strays: list[Stray]
    dead: int
    quarantine: int

    def workers(self) -> Sequence[GroupLag]:
        """Return the groups of the output stream that rfctl does not read for: workers, or nobody."""
        ours = {one.outlet.group for one in self.sinks if one.outlet.forwarded}
        stray = {group_of(one.sink) for one in self.strays}
        return [group for group in self.seen.groups if group.name not in ours | stray]
