"""What `stats` shows, as a screen and as data."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from rfctl.observe.health import refused, warned
from rfctl.observe.snapshot import Snapshot
from rfctl.store.daemons import DaemonRecord
from rfctl.store.keys import is_hashed
from rfctl.store.pending import GroupLag, PendingBatch
from rfctl.store.sink_status import SinkStatus
from rfctl.text import counted, duration, mask_url


def as_data(look: Snapshot) -> dict[str, Any]:
    """Return it for `-o json`."""
    from rfctl.cli.output import rfc3339

    seen = look.seen
    return {
        "time": rfc3339(seen.now_ms),
        "redis": {
            **dataclasses.asdict(look.server),
            "where": mask_url(look.server.where),
            "refuses_writes": [
                {"code": one.code, "why": one.why, "next": one.next} for one in look.write_refusals
            ],
        },
        "daemons": look.daemons,
        "pending": {
            "batches": seen.batches,
            "messages": seen.messages,
            "overdue": seen.overdue,
            "oldest_age_ms": _age_ms(seen.oldest_ms, seen.now_ms),
            "next_due_in_ms": None if seen.next_due_ms is None else seen.next_due_ms - seen.now_ms,
        },
        "totals": seen.totals,
        "output": {"length": seen.out_length, "groups": [dataclasses.asdict(one) for one in seen.groups]},
        "batches": [_batch_data(one, seen.now_ms) for one in seen.waiting],
        "sinks": [_sink_data(one, seen.now_ms) for one in look.sinks],
        "dead": look.dead,
        "quarantine": look.quarantine,
        "warnings": [*refused(look), *warned(look)],
    }


def _age_ms(then_ms: int | None, now_ms: int) -> int | None:
    return None if then_ms is None else max(0, now_ms - then_ms)


def _batch_data(one: PendingBatch, now_ms: int) -> dict[str, Any]:
    from rfctl.cli.output import rfc3339

    return {
        "phone": one.phone,
        "chat": one.chat,
        "key": one.name,
        "size": one.size,
        "due": rfc3339(one.due_ms),
        "due_in_ms": one.due_ms - now_ms,
        "last": rfc3339(one.last_ms),
    }


def _sink_data(one: SinkStatus, now_ms: int) -> dict[str, Any]:
    from rfctl.cli.output import rfc3339

    paused, retry_cause = one.paused, one.retry_cause
    return {
        "name": one.outlet.name,
        "type": one.outlet.type,
        "group": one.outlet.group,
        "forwarded": one.outlet.forwarded,
        "delivered": one.delivered,
        "failures": one.failures,
        "dead": one.dead,
        "lag": one.lag,
        "unacknowledged": one.unacknowledged,
        "phones_held": one.held,
        "messages_waiting": one.waiting,
        "oldest_age_ms": _age_ms(one.oldest_ms, now_ms),
        "next_try_in_ms": None if one.next_try_ms is None else max(0, one.next_try_ms - now_ms),
        "paused": None
        if paused is None
        else {"why": paused.why, "at": rfc3339(paused.at_ms) if paused.at_ms else None},
        "last_error": None if retry_cause is None else retry_cause.error,
        "last_error_at": None if retry_cause is None else rfc3339(retry_cause.at_ms),
        "failing_since": None if retry_cause is None else rfc3339(retry_cause.since_ms),
        "held_by": one.holders,
        "unserved_shards": one.unserved,
    }


def screen(look: Snapshot) -> Any:
    """Return it for a terminal."""
    from rich.console import Group

    from rfctl.cli import output as render

    parts: list[Any] = [render.facts(_lines(look))]
    if look.daemons:
        parts += ["", _daemons(look.daemons, look.seen.now_ms)]
    if look.sinks:
        parts += ["", _sinks(look)]
    if look.seen.waiting:
        parts += ["", _waiting(look.seen.waiting, look.seen.now_ms)]
        if look.seen.batches > len(look.seen.waiting):
            parts.append(f"… and {look.seen.batches - len(look.seen.waiting)} more (--limit)")
    return Group(*parts)


def _daemons(daemons: Sequence[DaemonRecord], now_ms: int) -> Any:
    from rfctl.cli import output as render

    rows = [
        (one.host, str(one.pid), one.role, one.listener or "-", duration(max(0, now_ms - one.turned_ms)))
        for one in daemons
    ]
    return render.table(("daemon", "pid", "roles", "listener", "last turn"), rows, right=frozenset({1, 4}))


def _sinks(look: Snapshot) -> Any:
    from rfctl.cli import output as render

    one_host = len({one.host for one in look.daemons}) <= 1
    names = {one.id: str(one.pid) if one_host else f"{one.host} {one.pid}" for one in look.daemons}
    rows = [_sink_row(one, look.seen.now_ms, names) for one in look.sinks]
    headings = ("sink", "type", "done", "failed", "dead", "left", "held", "oldest", "next", "by")
    return render.table(headings, rows, right=frozenset(range(2, 9)))


def _sink_row(one: SinkStatus, now_ms: int, names: dict[str, str]) -> tuple[str, ...]:
    forwarded = one.outlet.forwarded
    numbers = (one.delivered, one.failures, one.dead) if forwarded else ("-", "-", "-")
    holders = ", ".join(names.get(holder, holder) for holder in one.holders) or "nobody"
    return (
        one.outlet.name,
        one.outlet.type,
        *(str(number) for number in numbers),
        "?" if one.lag is None else str(one.lag + one.unacknowledged),
        str(one.held) if forwarded else "-",
        "-" if one.oldest_ms is None else duration(max(0, now_ms - one.oldest_ms)),
        _next_try(one, now_ms),
        holders if forwarded else one.outlet.group or "workers",
    )


def _next_try(one: SinkStatus, now_ms: int) -> str:
    """Say when the next try is; a sink that stands still tries nothing, whatever is due."""
    if one.paused is not None:
        return "paused"
    if one.next_try_ms is None:
        return "-"
    return duration(one.next_try_ms - now_ms) if one.next_try_ms > now_ms else "now"


def _waiting(batches: Sequence[PendingBatch], now_ms: int) -> Any:
    """Show the chat, and the key to copy, only when some batch has one."""
    from rfctl.cli import output as render

    chats, keys = any(one.chat for one in batches), any(is_hashed(one.name) for one in batches)
    headings = ("phone", *(["chat"] if chats else []), "messages", "due in", *(["key"] if keys else []))
    rows = [
        (
            one.phone,
            *([one.chat or "-"] if chats else []),
            str(one.size),
            _due(one.due_ms - now_ms),
            *([one.name if is_hashed(one.name) else "-"] if keys else []),
        )
        for one in batches
    ]
    first = 2 if chats else 1
    return render.table(headings, rows, right=frozenset({first, first + 1}))


def _due(in_ms: int) -> str:
    return duration(in_ms) if in_ms >= 0 else f"overdue {duration(-in_ms)}"


def _lines(look: Snapshot) -> list[tuple[str, str]]:
    seen, totals = look.seen, look.seen.totals
    oldest = "" if seen.oldest_ms is None else f", oldest {duration(max(0, seen.now_ms - seen.oldest_ms))}"
    pending = f"{counted(seen.batches, 'batch')}, {counted(seen.messages, 'message')}{oldest}"
    came = counted(totals.get("messages_in", 0), "message")
    lines = [
        ("Redis", f"{look.server.line()}, set by {look.server.set_by}"),
        *(("WARNING", line) for line in refused(look)),
        ("pending", f"{pending}, {seen.overdue} overdue"),
        ("in", f"{came}, {counted(totals.get('duplicates', 0), 'duplicate')} not added"),
        ("skipped", _by_kind(totals, "skipped:") or "nothing yet"),
        ("refused", _by_kind(totals, "refused:") or "nothing yet"),
        ("quarantine", f"{look.quarantine} now, {totals.get('quarantined', 0)} in all"),
        ("out", f"{counted(totals.get('merged', 0), 'merged message')} of {totals.get('messages_out', 0)}"),
        ("reasons", _by_kind(totals, "reason:") or "none yet"),
        ("discarded", counted(totals.get("messages_discarded", 0), "message")),
        ("late", f"{totals.get('stale', 0)} batches were found overdue by more than batching.overdue_ms"),
        ("stream", f"{seen.out_length} entries" + "".join(_group(one) for one in _readers(look))),
        ("dead", counted(look.dead, "message")),
    ]
    return [*lines, *(("WARNING", line) for line in warned(look))]


def _by_kind(totals: dict[str, int], prefix: str) -> str:
    found = sorted(
        (name.removeprefix(prefix), count) for name, count in totals.items() if name.startswith(prefix)
    )
    return ", ".join(f"{kind} {count}" for kind, count in found)


def _readers(look: Snapshot) -> list[GroupLag]:
    """Return the groups of the output stream that are no sink's: those stand in the table."""
    known = {one.outlet.group for one in look.sinks}
    return [group for group in look.seen.groups if group.name not in known]


def _group(one: GroupLag) -> str:
    lag = "unknown" if one.lag is None else one.lag
    return f"; group {one.name}: lag {lag}, unacknowledged {one.pending}"
