"""What `stats` shows of a snapshot: as JSON, and as a screen."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from rfctl.cli.output import build_facts, format_rfc3339
from rfctl.cli.rejections_view import draw_rejections, rejections_as_json
from rfctl.cli.table import build_table
from rfctl.observe import Finding, Snapshot, findings
from rfctl.store import ConsumerGroup, DaemonRecord, PendingBatch, SinkStatus, is_hashed
from rfctl.text import counted, duration, mask_url


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
        "totals": pending.totals,
        "rejected": rejections_as_json(snapshot),
        "output": {
            "length": pending.out_length,
            "groups": [dataclasses.asdict(group) for group in pending.groups],
        },
        "batches": [_batch_as_json(batch, pending.now_ms) for batch in pending.next_due],
        "sinks": [_sink_as_json(sink, pending.now_ms) for sink in snapshot.sinks],
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
        "phones_waiting": status.phones_waiting,
        "messages_waiting": status.messages_waiting,
        "oldest_age_ms": _age_ms(status.oldest_ms, now_ms),
        "next_retry_in_ms": None if status.next_retry_ms is None else max(0, status.next_retry_ms - now_ms),
        "paused": None
        if paused is None
        else {"why": paused.why, "at": format_rfc3339(paused.at_ms) if paused.at_ms else None},
        "last_error": None if cause is None else cause.error,
        "last_error_at": None if cause is None else format_rfc3339(cause.at_ms),
        "failing_since": None if cause is None else format_rfc3339(cause.since_ms),
        "leased_by": status.leased_by,
        "unserved_shards": status.unserved_shards,
    }


def draw(snapshot: Snapshot) -> Any:
    """Return a snapshot for a terminal."""
    from rich.console import Group

    pending = snapshot.pending
    parts: list[Any] = [build_facts(_lines(snapshot))]
    if snapshot.daemons:
        parts += ["", _daemon_table(snapshot.daemons, pending.now_ms)]
    if snapshot.sinks:
        parts += ["", _sink_table(snapshot)]
    if pending.next_due:
        parts += ["", _batch_table(pending.next_due, pending.now_ms)]
        if pending.batches > len(pending.next_due):
            parts.append(f"… and {pending.batches - len(pending.next_due)} more (--limit)")
    return Group(*parts)


def _daemon_table(daemons: Sequence[DaemonRecord], now_ms: int) -> Any:
    rows = [
        (
            daemon.host,
            str(daemon.pid),
            daemon.role,
            daemon.listener or "-",
            daemon.event_loop.partition(" ")[0] or "-",
            duration(max(0, now_ms - daemon.turned_ms)),
        )
        for daemon in daemons
    ]
    return build_table(
        ("daemon", "pid", "role", "listener", "loop", "last turn"), rows, right=frozenset({1, 5})
    )


def _sink_table(snapshot: Snapshot) -> Any:
    is_one_host = len({daemon.host for daemon in snapshot.daemons}) <= 1
    names = {
        daemon.id: str(daemon.pid) if is_one_host else f"{daemon.host} {daemon.pid}"
        for daemon in snapshot.daemons
    }
    rows = [_sink_row(sink, snapshot.pending.now_ms, names) for sink in snapshot.sinks]
    headings = (
        "sink", "type", "delivered", "failed", "dead", "pending", "waiting", "oldest", "next_retry", "daemon",
    )  # fmt: skip
    return build_table(headings, rows, right=frozenset(range(2, 9)))


def _sink_row(status: SinkStatus, now_ms: int, names: Mapping[str, str]) -> tuple[str, ...]:
    forwarded = status.sink.forwarded
    counts = (status.delivered, status.failures, status.dead) if forwarded else ("-", "-", "-")
    daemons = ", ".join(names.get(daemon_id, daemon_id) for daemon_id in status.leased_by) or "nobody"
    return (
        status.sink.name,
        status.sink.type,
        *(str(count) for count in counts),
        "?" if status.lag is None else str(status.lag + status.unacknowledged),
        str(status.phones_waiting) if forwarded else "-",
        "-" if status.oldest_ms is None else _short(max(0, now_ms - status.oldest_ms)),
        _next_retry(status, now_ms),
        daemons if forwarded else status.sink.group or "workers",
    )


def _next_retry(status: SinkStatus, now_ms: int) -> str:
    """Say when the next retry is; a paused sink retries nothing, whatever is due."""
    if status.paused is not None:
        return "paused"
    if status.next_retry_ms is None:
        return "-"
    return _short(status.next_retry_ms - now_ms) if status.next_retry_ms > now_ms else "now"


def _short(ms: int) -> str:
    """Return a duration without spaces: ten columns are to fit on a terminal of 80."""
    return duration(ms).replace(" ", "")


def _batch_table(batches: Sequence[PendingBatch], now_ms: int) -> Any:
    """Show the chat, and the batch key to copy, only when some batch has one."""
    with_chat = any(batch.chat for batch in batches)
    with_key = any(is_hashed(batch.batch_key) for batch in batches)
    headings = (
        "phone", *(["chat"] if with_chat else []), "messages", "due in", *(["batch key"] if with_key else []),
    )  # fmt: skip
    rows = [
        (
            batch.phone,
            *([batch.chat or "-"] if with_chat else []),
            str(batch.size),
            _due(batch.due_ms - now_ms),
            *([batch.batch_key if is_hashed(batch.batch_key) else "-"] if with_key else []),
        )
        for batch in batches
    ]
    first = 2 if with_chat else 1
    return build_table(headings, rows, right=frozenset({first, first + 1}))


def _due(in_ms: int) -> str:
    return duration(in_ms) if in_ms >= 0 else f"{duration(-in_ms)} overdue"


def _lines(snapshot: Snapshot) -> list[tuple[str, str]]:
    warnings = findings(snapshot)
    return [
        ("Redis", f"{snapshot.server.line()}, set by {snapshot.server.set_by}"),
        *([("overrides", snapshot.server.overrides)] if snapshot.server.overrides else []),
        *(_warning(finding) for finding in warnings if finding.code == "writes_refused"),
        *_counters(snapshot),
        *(_warning(finding) for finding in warnings if finding.code != "writes_refused"),
    ]


def _warning(finding: Finding) -> tuple[str, str]:
    return "WARNING", finding.line()


def _counters(snapshot: Snapshot) -> list[tuple[str, str]]:
    pending, totals = snapshot.pending, snapshot.pending.totals
    oldest = (
        ""
        if pending.oldest_ms is None
        else f", oldest {duration(max(0, pending.now_ms - pending.oldest_ms))}"
    )
    batches = f"{counted(pending.batches, 'batch')}, {counted(pending.messages, 'message')}{oldest}"
    received = counted(totals.get("messages_in", 0), "message")
    return [
        ("pending", f"{batches}, {pending.overdue} overdue"),
        ("in", f"{received}, {counted(totals.get('duplicates', 0), 'duplicate')} not added"),
        ("skipped", _by_kind(totals, "skipped:") or "nothing yet"),
        ("rejected", draw_rejections(snapshot) or "nothing yet"),
        ("quarantine", f"{snapshot.quarantine} now, {totals.get('quarantined', 0)} in all"),
        ("out", f"{counted(totals.get('merged', 0), 'merged message')} of {totals.get('messages_out', 0)}"),
        ("reasons", _by_kind(totals, "reason:") or "none yet"),
        ("discarded", counted(totals.get("messages_discarded", 0), "message")),
        (
            "overdue",
            f"{counted(totals.get('stale', 0), 'batch')} handed over more than batching.overdue_ms late",
        ),
        ("stream", counted(pending.out_length, "entry") + "".join(map(_group, _worker_groups(snapshot)))),
        ("dead", counted(snapshot.dead, "message")),
    ]


def _by_kind(totals: Mapping[str, int], prefix: str) -> str:
    kinds = sorted(name.removeprefix(prefix) for name in totals if name.startswith(prefix))
    return ", ".join(f"{kind} {totals[prefix + kind]}" for kind in kinds)


def _worker_groups(snapshot: Snapshot) -> list[ConsumerGroup]:
    """Return the groups of the output stream that belong to no sink: the table has those of sinks."""
    of_sinks = {sink.sink.group for sink in snapshot.sinks}
    return [group for group in snapshot.pending.groups if group.name not in of_sinks]


def _group(group: ConsumerGroup) -> str:
    lag = "unknown" if group.lag is None else group.lag
    return f"; group {group.name}: lag {lag}, unacknowledged {group.pending}"
