"""What `stats -o json` prints of a snapshot: the promise is to add fields, never to rename one."""

from __future__ import annotations

import dataclasses
from typing import Any

from rfctl.cli.rejections_view import rejections_as_json
from rfctl.observe import Rates, Snapshot, findings, measure_rates
from rfctl.observe.words import describe_worker
from rfctl.observe.worker_groups import WorkerGroup, list_worker_groups
from rfctl.store import ConsumerGroup, PendingBatch, SinkStatus
from rfctl.text import mask_url
from rfctl.timing import format_rfc3339


def as_json(snapshot: Snapshot) -> dict[str, Any]:
    """Return a snapshot for `-o json`."""
    pending = snapshot.pending
    return {
        "time": format_rfc3339(pending.now_ms),
        "redis": {
            **dataclasses.asdict(snapshot.server),
            "where": mask_url(snapshot.server.where),
            "refuses_writes": [
                {"code": refusal.code, "why": refusal.why, "next": refusal.next}
                for refusal in snapshot.write_refusals
            ],
        },
        "daemons": snapshot.daemons,
        "pending": {
            "batches": pending.batches,
            "messages": pending.messages,
            "overdue": pending.overdue,
            "oldest_age_ms": _age_ms(pending.oldest_ms, pending.now_ms),
            "next_due_in_ms": None if pending.next_due_ms is None else pending.next_due_ms - pending.now_ms,
        },
        "held": {
            "count": snapshot.held.count,
            "longest_age_ms": _age_ms(snapshot.held.longest_since_ms, pending.now_ms),
        },
        "totals": pending.totals,
        "last_minute": _rates_as_json(snapshot),
        "rejected": rejections_as_json(snapshot),
        "output": {
            "length": pending.out_length,
            "groups": [_group_as_json(group) for group in pending.groups],
        },
        "batches": [_batch_as_json(batch, pending.now_ms) for batch in pending.next_due],
        "sinks": [_sink_as_json(sink, pending.now_ms) for sink in snapshot.sinks],
        "workers": [_workers_as_json(group) for group in list_worker_groups(snapshot)],
        "dead": snapshot.dead,
        "quarantine": snapshot.quarantine,
        "findings": [dataclasses.asdict(finding) for finding in findings(snapshot)],
    }


def _age_ms(then_ms: int | None, now_ms: int) -> int | None:
    return None if then_ms is None else max(0, now_ms - then_ms)


def _batch_as_json(batch: PendingBatch, now_ms: int) -> dict[str, Any]:
    return {
        "phone": batch.phone,
        "chat": batch.chat,
        "batch_key": batch.batch_key,
        "size": batch.size,
        "due": format_rfc3339(batch.due_ms),
        "due_in_ms": batch.due_ms - now_ms,
        "last": format_rfc3339(batch.last_ms),
    }


def _group_as_json(group: ConsumerGroup) -> dict[str, Any]:
    facts = dataclasses.asdict(group)
    del facts["worker_keys"]
    return facts


def _workers_as_json(group: WorkerGroup) -> dict[str, Any]:
    state, words = describe_worker(group)
    return {
        "group": group.name,
        "state": state,
        "words": words,
        "waiting": group.waiting,
        "in_hand": group.in_hand,
        "failed": group.failed,
        "again": group.again,
        "left": group.left,
        "dead": group.dead,
        "asked_ago_ms": group.idle_ms,
    }


def _sink_as_json(status: SinkStatus, now_ms: int) -> dict[str, Any]:
    paused, cause = status.paused, status.retry_cause
    return {
        "name": status.sink.name,
        "type": status.sink.type,
        "group": status.sink.group,
        "forwarded": status.sink.forwarded,
        "delivered": status.delivered,
        "failures": status.failures,
        "dead": status.dead,
        "lag": status.lag,
        "unacknowledged": status.unacknowledged,
        "again": status.again,
        "phones_waiting": status.phones_waiting,
        "messages_waiting": status.messages_waiting,
        "oldest_age_ms": _age_ms(status.oldest_ms, now_ms),
        "next_retry_in_ms": None if status.next_retry_ms is None else max(0, status.next_retry_ms - now_ms),
        "paused": None
        if paused is None
        else {
            "why": paused.why,
            "at": format_rfc3339(paused.at_ms) if paused.at_ms else None,
            "by": paused.by,
        },
        "last_error": None if cause is None else cause.error,
        "last_error_at": None if cause is None else format_rfc3339(cause.at_ms),
        "failing_since": None if cause is None else format_rfc3339(cause.since_ms),
        "leased_by": status.leased_by,
        "unserved_shards": status.unserved_shards,
    }


def _rates_as_json(snapshot: Snapshot) -> dict[str, Any] | None:
    """Return what was counted within the last minute, None where no daemon tells it; `window_s` is how long it was."""
    rates: Rates | None = measure_rates(snapshot.daemons, snapshot.pending.totals, snapshot.pending.now_ms)
    return None if rates is None else {"window_s": rates.window_ms / 1000, "counts": dict(rates.counts)}
