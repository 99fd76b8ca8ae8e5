"""The list of findings: what an operator should look at, each a fact with a fix. Each topic has a module beside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rfctl.observe.batches import find_batch_problems
from rfctl.observe.companies import find_unset_companies
from rfctl.observe.daemons import (
    find_daemon_faults,
    find_overdue_batches,
    find_settings_differences,
    find_version_differences,
)
from rfctl.observe.deliveries import find_delivery_faults
from rfctl.observe.examination import Examination
from rfctl.observe.finding import Code, Finding, Severity
from rfctl.observe.flow import find_slow_sinks, find_untried_entries
from rfctl.observe.host import find_host_faults
from rfctl.observe.listener import find_listener_faults
from rfctl.observe.neighbours import find_other_address, find_twins
from rfctl.observe.probe import find_broken_links
from rfctl.observe.ranks import sort_findings
from rfctl.observe.receivers import find_unreachable_receivers, find_unusable_settings
from rfctl.observe.requests import find_open_sources, find_rejected_requests, find_unknown_paths
from rfctl.observe.server import (
    find_emptying,
    find_missing_rights,
    find_refusals,
    find_server_faults,
    find_torn_file,
)
from rfctl.observe.server_load import find_clock_differences, find_full_disk, find_load
from rfctl.observe.settings_drift import find_drift
from rfctl.observe.shell import find_other_settings, find_short_tokens
from rfctl.observe.sinks import describe_orphan, find_sink_faults
from rfctl.observe.snapshot import Snapshot
from rfctl.observe.strays import find_strays
from rfctl.observe.taken_keys import find_taken_keys
from rfctl.observe.unfinished import find_unfinished_checks, find_unusable_redis
from rfctl.observe.workers import (
    find_full_groups,
    find_letters_left,
    find_stuck_entries,
    find_unread_groups,
    find_unread_stream,
)
from rfctl.text import counted

__all__ = ["Code", "Finding", "Severity", "findings"]


_SAID_BETTER: Mapping[Code, Code] = {"lists_unclaimed": "lists_stray"}
"""What an examination says of the same keys as they are now: a snapshot has the report of the last sweep."""


def findings(snapshot: Snapshot | None, examination: Examination | None = None) -> list[Finding]:
    """Return every finding by rank: errors first, and a cause before what it causes.

    `snapshot` is None where Redis was not reached. `examination` has what is dear to find out; a daemon does without it.
    """
    examined = [] if examination is None else list(_find_in_examination(snapshot, examination))
    codes = {finding.code for finding in examined}
    seen = () if snapshot is None else _find_in_snapshot(snapshot)
    return sort_findings(
        [*(finding for finding in seen if _SAID_BETTER.get(finding.code) not in codes), *examined]
    )


def _find_in_snapshot(snapshot: Snapshot) -> Iterator[Finding]:
    yield from find_refusals(snapshot)
    yield from find_server_faults(snapshot.server, allow_eviction=snapshot.allow_eviction)
    yield from find_torn_file(snapshot.server, snapshot.last_run)
    yield from find_emptying(snapshot.pending.totals, snapshot.totals_key)
    yield from find_daemon_faults(snapshot)
    yield from find_settings_differences(snapshot.daemons)
    yield from find_version_differences(snapshot.daemons)
    yield from find_overdue_batches(snapshot)
    for sink in snapshot.sinks:
        yield from find_sink_faults(sink, snapshot.pending.now_ms)
        yield from find_delivery_faults(sink)
    yield from find_slow_sinks(snapshot)
    yield from (describe_orphan(group, snapshot.server.where) for group in snapshot.orphaned)
    yield from find_unread_groups(snapshot)
    yield from find_full_groups(snapshot)
    yield from find_letters_left(snapshot)
    yield from find_unread_stream(snapshot)
    yield from find_batch_problems(snapshot)
    yield from find_missing_rights(snapshot.missing_rights, snapshot.user)
    yield from find_rejected_requests(snapshot.daemons)
    yield from find_unknown_paths(snapshot.daemons)
    yield from _for_the_operator(snapshot)
    yield from find_drift(snapshot.daemons)


def _find_in_examination(snapshot: Snapshot | None, examination: Examination) -> Iterator[Finding]:
    yield from find_unusable_redis(examination)
    yield from find_taken_keys(examination)
    yield from find_other_address(snapshot, examination)
    yield from find_listener_faults(snapshot, examination)
    if snapshot is not None:
        yield from find_twins(snapshot, examination)
        yield from find_other_settings(snapshot, examination)
    yield from find_stuck_entries(examination.worker_entries)
    yield from find_untried_entries(examination.untried_entries)
    yield from find_load(examination.server)
    yield from find_unusable_settings(examination)
    yield from find_unreachable_receivers(examination)
    yield from find_clock_differences(examination)
    yield from find_open_sources(snapshot, examination)
    yield from find_short_tokens(examination)
    yield from find_unset_companies(examination)
    yield from find_strays(examination)
    yield from find_host_faults(examination)
    yield from find_full_disk(examination)
    yield from find_broken_links(snapshot, examination)
    yield from find_unfinished_checks(examination)


def _for_the_operator(snapshot: Snapshot) -> Iterator[Finding]:
    if snapshot.dead:
        fact = f"dead: {counted(snapshot.dead, 'message')} that a sink did not take"
        yield Finding("dead_letters", "warning", "", fact, "rfctl dead list")
    if snapshot.quarantine:
        fact = f"quarantine: {counted(snapshot.quarantine, 'request')} that rfctl could not parse"
        yield Finding("quarantined_requests", "warning", "", fact, "rfctl quarantine list")
