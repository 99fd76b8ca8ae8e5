"""Which topic each finding belongs to, and which of several findings an operator should read first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, get_args

from rfctl.observe.finding import Code, Finding

Topic = Literal["address", "daemons", "work", "redis", "sinks", "door", "clocks", "keys", "host", "probe"]
"""A group of checks. They stand by likelihood, damage and how hard it is to see: the first is read first."""
TOPICS: Sequence[Topic] = get_args(Topic)

RANKED: Mapping[Code, Topic] = {
    # What explains all that follows.
    "daemon_elsewhere": "address",
    "redis_unusable": "address",
    "layout_differs": "address",
    "daemon_twin": "address",
    "key_taken": "keys",
    "daemon_hung": "daemons",
    "port_taken": "host",
    "writes_refused": "redis",
    "redis_emptied": "redis",
    "daemon_unready": "daemons",
    "reload_refused": "daemons",
    "settings_edited": "daemons",
    "settings_conflict": "daemons",
    "settings_differ": "daemons",
    "settings_unlike": "daemons",
    "versions_differ": "daemons",
    "settings_unusable": "sinks",
    "daemons_unknown": "work",
    "processor_missing": "work",
    "sink_unserved": "work",
    "stream_unread": "work",
    "group_unread": "work",
    "group_full": "work",
    "again_unread": "work",
    "group_orphaned": "work",
    "sink_foreign": "work",
    "batch_set_aside": "work",
    "batches_overdue": "work",
    "hold_forgotten": "work",
    "entries_redelivered": "work",
    "entries_unacknowledged": "work",
    "eviction_enabled": "redis",
    "keys_evicted": "redis",
    "memory_low": "redis",
    "clients_low": "redis",
    "save_failed": "redis",
    "persistence_disabled": "redis",
    "fsync_disabled": "redis",
    "aof_torn": "redis",
    "eviction_partial": "redis",
    "right_missing": "redis",
    "redis_unseen": "redis",
    "redis_slow": "redis",
    "sink_paused": "sinks",
    "sink_unreachable": "sinks",
    "sink_failing": "sinks",
    "deliveries_stuck": "sinks",
    "sink_stalled": "sinks",
    "sink_behind": "sinks",
    "messages_missing": "sinks",
    "certificate_ending": "sinks",
    "dead_letters": "sinks",
    "requests_rejected": "door",
    "path_unknown": "door",
    "source_open": "door",
    "token_short": "door",
    "company_unset": "door",
    "quarantined_requests": "door",
    "clock_differs": "clocks",
    "sink_clock_differs": "clocks",
    "record_key_taken": "keys",
    "batches_missing": "keys",
    "lists_unclaimed": "keys",
    "lists_stray": "keys",
    "entries_stray": "keys",
    "sink_stray": "keys",
    "group_stray": "keys",
    "log_lines_lost": "host",
    "disk_low": "host",
    "secrets_readable": "host",
    "variable_ignored": "host",
    "files_limited": "host",
    "unit_differs": "host",
    "overcommit_disabled": "host",
    "huge_pages_enabled": "host",
    "probe_unanswered": "probe",
    "probe_failed": "probe",
    "check_unfinished": "host",
}
"""Each code with its topic, in the order in which findings of one severity are read: a cause before what it causes."""
_PLACES = {code: place for place, code in enumerate(RANKED)}


def find_topic(finding: Finding) -> Topic:
    """Return the topic of a finding."""
    return RANKED[finding.code]


def sort_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings by rank: errors before warnings, then by the table. Those of one code keep their order."""
    return sorted(findings, key=lambda finding: (finding.severity != "error", _PLACES[finding.code]))
