"""From facts to samples. Pure.

What is not there is 0 wherever the labels are a closed set, so that a rate or an alert need not care.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import get_args

from rfctl.model.closed_sets import Reason, Role, SkippedKind
from rfctl.observe.catalogue import CATALOGUE
from rfctl.observe.finding import Finding
from rfctl.observe.metrics.daemon_facts import DaemonFacts, Outcomes
from rfctl.observe.metrics.families import Sample
from rfctl.observe.snapshot import Snapshot
from rfctl.store import SinkStatus
from rfctl.store.sink_status import sum_lags

_NO_SOURCE, _FORMER = "", "former"
_SKIPPED, _DROPPED, _OTHER = "skipped:", "dropped:", "other"
_OF_A_SOURCE = "accepted", "signature", "content-type", "invalid-body", "body-too-large"
"""What becomes of a provider's own requests. Each is there from the start: Prometheus sees no burst that a counter begins with."""
_TOTALS = {
    "rfctl_messages_total": ("messages_in",),
    "rfctl_duplicate_messages_total": ("duplicates",),
    "rfctl_handed_over_messages_total": ("messages_out",),
    "rfctl_merged_messages_total": ("merged",),
    "rfctl_discarded_messages_total": ("messages_discarded",),
    "rfctl_overdue_batches_total": ("stale",),
    "rfctl_missing_batches_total": ("batches_missing", "keys_taken"),
    "rfctl_unparsed_parts_total": ("quarantined",),
    "rfctl_trimmed_parts_total": ("quarantine_trimmed",),
}
"""Counters with the fields of Redis that each of them sums."""


def read_daemon(facts: DaemonFacts, *, is_redis_up: bool) -> Iterator[Sample]:
    """Yield what one daemon says of itself."""
    turns = facts.turns
    yield Sample("rfctl_build_info", 1, (facts.version, facts.role, facts.event_loop))
    yield Sample("rfctl_redis_up", int(is_redis_up))
    yield Sample("rfctl_daemon_ready", int(facts.is_ready))
    yield Sample("rfctl_daemon_turn_age_seconds", facts.turn_age_ms / 1000)
    yield from _read_outcomes("rfctl_daemon_requests_total", facts.requests, facts, _OF_A_SOURCE)
    yield Sample("rfctl_daemon_invalid_traces_total", facts.invalid_traces)
    yield from _read_outcomes("rfctl_daemon_messages_total", facts.messages, facts, ("stored", "duplicate"))
    yield Sample("rfctl_daemon_handed_over_batches_total", turns.batches)
    yield Sample("rfctl_daemon_handed_over_messages_total", turns.messages)
    yield Sample("rfctl_daemon_overdue_batches_total", turns.overdue)
    yield Sample("rfctl_daemon_clamped_batches_total", turns.clamped)
    yield Sample("rfctl_daemon_set_aside_batches_total", turns.set_aside)
    yield Sample("rfctl_daemon_handover_call_seconds", turns.call_seconds)
    yield Sample("rfctl_daemon_batch_messages", facts.measures.sizes)
    yield Sample("rfctl_daemon_batch_wait_seconds", facts.measures.waits)
    yield Sample("rfctl_daemon_batch_lateness_seconds", facts.measures.lateness)
    yield Sample("rfctl_daemon_message_gap_seconds", facts.measures.gaps)
    for sink, outcomes in sorted(facts.attempts.items()):
        for outcome, seconds in outcomes.items():
            yield Sample("rfctl_daemon_attempt_seconds", seconds, (sink, outcome))
    yield Sample("rfctl_daemon_body_bytes", facts.body_bytes)
    for sink, size in sorted(facts.sink_bytes.items()):
        yield Sample("rfctl_daemon_sink_bytes", size, (sink,))
    for reason, count in sorted(facts.redis_errors.items()):
        yield Sample("rfctl_daemon_redis_errors_total", count, (reason,))
    yield Sample("rfctl_daemon_lost_log_lines_total", facts.lost_log_lines)


def _read_outcomes(
    name: str, counts: Outcomes, facts: DaemonFacts, always: Sequence[str]
) -> Iterator[Sample]:
    """Yield counts by source and outcome; a source that a reload has taken away is `former`."""
    sums = Counter({(source, outcome): 0 for source in facts.sources for outcome in always})
    for (source, outcome), count in counts.items():
        is_listed = source == _NO_SOURCE or source in facts.sources
        sums[source if is_listed else _FORMER, outcome] += count
    for labels, count in sorted(sums.items()):
        yield Sample(name, count, labels)


def read_redis(
    snapshot: Snapshot, findings: Sequence[Finding], rules: Collection[str] = ()
) -> Iterator[Sample]:
    """Yield what Redis has, with the findings about it. `rules` names those of the settings that drop messages."""
    totals = snapshot.pending.totals
    for name, fields in _TOTALS.items():
        yield Sample(name, sum(totals.get(field, 0) for field in fields))
    yield from _read_dropped(totals, rules)
    yield from _read_skipped(totals)
    for reason in get_args(Reason):
        yield Sample("rfctl_batches_total", totals.get(f"reason:{reason}", 0), (reason,))
    yield from _read_pending(snapshot)
    yield from _read_daemons(snapshot)
    yield from _read_workers(snapshot)
    for sink in snapshot.sinks:
        yield from _read_sink(sink, snapshot.pending.now_ms)
    sums = Counter({(code, meaning.severity): 0 for code, meaning in CATALOGUE.items()})
    sums.update((finding.code, finding.severity) for finding in findings)
    for labels, count in sums.items():
        yield Sample("rfctl_findings", count, labels)


def _read_dropped(totals: Mapping[str, int], rules: Collection[str]) -> Iterator[Sample]:
    """Yield what each rule has dropped; a rule that is in the settings no more is `former`."""
    sums = Counter({_FORMER: 0, **dict.fromkeys(rules, 0)})
    for name, count in totals.items():
        if name.startswith(_DROPPED):
            rule = name.removeprefix(_DROPPED)
            sums[rule if rule in rules else _FORMER] += count
    for rule, count in sorted(sums.items()):
        yield Sample("rfctl_dropped_messages_total", count, (rule,))


def _read_skipped(totals: Mapping[str, int]) -> Iterator[Sample]:
    """Yield the skipped parts by kind, without the names of events; a kind of another version of rfctl is `other`."""
    sums = Counter(dict.fromkeys((*get_args(SkippedKind), _OTHER), 0))
    for name, count in totals.items():
        if name.startswith(_SKIPPED):
            kind = name.removeprefix(_SKIPPED).partition(":")[0]
            sums[kind if kind in sums else _OTHER] += count
    for kind, count in sums.items():
        yield Sample("rfctl_skipped_parts_total", count, (kind,))


def _read_pending(snapshot: Snapshot) -> Iterator[Sample]:
    pending = snapshot.pending
    yield Sample("rfctl_pending_batches", pending.batches)
    yield Sample("rfctl_pending_messages", pending.messages)
    yield Sample("rfctl_pending_oldest_age_seconds", _measure_age_s(pending.oldest_ms, pending.now_ms))
    yield Sample("rfctl_pending_overdue_batches", pending.overdue)
    yield Sample("rfctl_pending_overdue_seconds", _measure_age_s(pending.next_due_ms, pending.now_ms))
    yield Sample("rfctl_pending_set_aside_batches", snapshot.aside.count)
    yield Sample("rfctl_held", snapshot.held.count)
    yield Sample("rfctl_stream_entries", pending.out_length)
    yield Sample("rfctl_dead_messages", snapshot.dead)
    yield Sample("rfctl_quarantine_parts", snapshot.quarantine)


def _read_daemons(snapshot: Snapshot) -> Iterator[Sample]:
    daemons, now_ms = snapshot.daemons, snapshot.pending.now_ms
    for role in get_args(Role):
        yield Sample("rfctl_daemons", sum(daemon.role == role for daemon in daemons), (role,))
    turned_ms = max((daemon.turned_ms for daemon in daemons if daemon.is_scheduler), default=None)
    if turned_ms is not None:
        yield Sample("rfctl_processor_turn_age_seconds", _measure_age_s(turned_ms, now_ms))
    yield Sample("rfctl_daemons_lost_log_lines", sum(daemon.lost_log_lines for daemon in daemons))


def _read_workers(snapshot: Snapshot) -> Iterator[Sample]:
    """Yield sums over the groups of workers: their names are anybody's who may use Redis."""
    groups = snapshot.workers()
    yield Sample("rfctl_worker_groups", len({group.name for group in groups}))
    if (unread := sum_lags(group.lag for group in groups)) is not None:
        yield Sample("rfctl_worker_unread_messages", unread)
    taken = sum(group.pending + group.again_pending for group in groups)
    yield Sample("rfctl_worker_unacknowledged_messages", taken)
    yield Sample("rfctl_worker_again_messages", sum(group.again for group in groups))


def _read_sink(status: SinkStatus, now_ms: int) -> Iterator[Sample]:
    labels, cause = (status.sink.name,), status.retry_cause
    outcomes = {
        "delivered": status.delivered,
        "failed": status.failures - status.dead,
        "dead": status.dead,
        "missing": status.missing,
    }
    for outcome, count in outcomes.items():
        yield Sample("rfctl_sink_deliveries_total", count, (*labels, outcome))
    if status.lag is not None:
        yield Sample("rfctl_sink_unread_messages", status.lag, labels)
    yield Sample("rfctl_sink_unacknowledged_messages", status.unacknowledged, labels)
    yield Sample("rfctl_sink_waiting_phones", status.phones_waiting, labels)
    yield Sample("rfctl_sink_waiting_messages", status.messages_waiting, labels)
    yield Sample("rfctl_sink_oldest_age_seconds", _measure_age_s(status.oldest_ms, now_ms), labels)
    since_ms = None if cause is None else cause.since_ms
    yield Sample("rfctl_sink_failing_seconds", _measure_age_s(since_ms, now_ms), labels)
    yield Sample("rfctl_sink_stalled_seconds", (status.stalled_ms or 0) / 1000, labels)
    yield Sample("rfctl_sink_paused", int(status.paused is not None), labels)
    yield Sample("rfctl_sink_unserved_shards", status.unserved_shards, labels)


def _measure_age_s(then_ms: int | None, now_ms: int) -> float:
    return 0 if then_ms is None else max(0, now_ms - then_ms) / 1000
