"""One thing that an operator should look at. The rules that make findings are beside, a module for each topic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Code = Literal[
    "writes_refused", "redis_unseen", "right_missing", "eviction_enabled", "eviction_partial", "persistence_disabled",
    "aof_torn", "redis_emptied", "daemons_unknown", "processor_missing", "settings_conflict", "settings_differ",
    "sink_unserved", "sink_paused", "sink_failing", "sink_foreign", "group_orphaned", "group_unread", "group_full", "again_unread", "stream_unread",
    "dead_letters", "quarantined_requests", "requests_rejected", "reload_refused", "settings_edited", "log_lines_lost",
    "sink_stalled", "messages_missing", "batch_set_aside", "batches_missing", "lists_unclaimed",
    "hold_forgotten", "redis_unusable", "layout_differs", "daemon_elsewhere", "check_unfinished", "settings_unlike", "versions_differ",
    "batches_overdue", "entries_redelivered", "entries_unacknowledged", "memory_low", "clients_low", "keys_evicted",
    "fsync_disabled", "save_failed", "redis_slow", "clock_differs", "sink_clock_differs", "disk_low", "sink_unreachable",
    "certificate_ending", "settings_unusable", "port_taken", "secrets_readable", "variable_ignored", "files_limited",
    "overcommit_disabled", "huge_pages_enabled", "unit_differs", "lists_stray", "entries_stray", "sink_stray", "group_stray",
    "daemon_unready", "daemon_twin", "daemon_hung", "path_unknown", "source_open", "sink_behind", "deliveries_stuck",
    "probe_unanswered", "probe_failed", "key_taken", "record_key_taken", "company_unset", "token_short",
]  # fmt: skip
Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that an operator should look at.

    `code` is its kind, and stays the same. With severity `error` messages do not get through; a `warning` can wait.
    `subject` is the sink, the group or the source that it is about, "" for all of rfctl. `fix` is what to do next, in one line.
    `set_by` is who set what is wrong: a file with its line, a variable, an option; "" where nobody did.
    """

    code: Code
    severity: Severity
    subject: str
    fact: str
    fix: str
    set_by: str = ""

    def line(self) -> str:
        """Return it for a person: the fact, its code, who set it, then what to do."""
        set_by = f"; set by {self.set_by}" if self.set_by else ""
        return f"{self.fact} [{self.code}]{set_by} ({self.fix})"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code of a finding says: how grave it is, what is wrong, and what an operator does. In sentences."""

    severity: Severity
    what: str
    remedy: str
