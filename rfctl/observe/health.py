"""The list of findings: what an operator should look at, each a fact with a fix. Each topic has a module beside."""

from __future__ import annotations

from collections.abc import Iterator

from rfctl.observe.batches import find_batch_problems
from rfctl.observe.daemons import find_daemon_faults, find_settings_differences
from rfctl.observe.deliveries import find_delivery_faults
from rfctl.observe.finding import Code, Finding, Severity
from rfctl.observe.requests import find_rejected_requests
from rfctl.observe.server import (
    find_emptying,
    find_missing_rights,
    find_refusals,
    find_server_faults,
    find_torn_file,
)
from rfctl.observe.settings_drift import find_drift
from rfctl.observe.sinks import describe_orphan, find_sink_faults
from rfctl.observe.snapshot import Snapshot
from rfctl.observe.workers import find_unread_groups, find_unread_stream
from rfctl.text import counted

__all__ = ["Code", "Finding", "Severity", "findings"]


def findings(snapshot: Snapshot) -> list[Finding]:
    """Return every finding; a refusal of writes comes first, as the cause of the rest."""
    return [
        *find_refusals(snapshot),
        *find_server_faults(snapshot.server, allow_eviction=snapshot.allow_eviction),
        *find_torn_file(snapshot.server, snapshot.last_run),
        *find_emptying(snapshot.pending.totals, snapshot.totals_key),
        *find_daemon_faults(snapshot),
        *find_settings_differences(snapshot.daemons),
        *(finding for sink in snapshot.sinks for finding in find_sink_faults(sink, snapshot.pending.now_ms)),
        *(finding for sink in snapshot.sinks for finding in find_delivery_faults(sink)),
        *(describe_orphan(group, snapshot.server.where) for group in snapshot.orphaned),
        *find_unread_groups(snapshot),
        *find_unread_stream(snapshot),
        *find_batch_problems(snapshot),
        *find_missing_rights(snapshot.missing_rights, snapshot.user),
        *find_rejected_requests(snapshot.daemons),
        *_for_the_operator(snapshot),
        *find_drift(snapshot.daemons),
    ]


def _for_the_operator(snapshot: Snapshot) -> Iterator[Finding]:
    if snapshot.dead:
        fact = f"dead: {counted(snapshot.dead, 'message')} that a sink did not take"
        yield Finding("dead_letters", "warning", "", fact, "rfctl dead list")
    if snapshot.quarantine:
        fact = f"quarantine: {counted(snapshot.quarantine, 'request')} that rfctl could not parse"
        yield Finding("quarantined_requests", "warning", "", fact, "rfctl quarantine list")
