"""The words of the `stats` screens: what is said of a snapshot, in which rows, whatever draws them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rfctl.cli.rejections_view import draw_rejections
from rfctl.observe import Rates, Snapshot
from rfctl.observe.words import State, describe_sink, describe_window, describe_worker, name_daemons
from rfctl.observe.worker_groups import list_worker_groups
from rfctl.store import DaemonRecord, PendingBatch, SinkStatus, is_hashed
from rfctl.store.sink_status import count_left
from rfctl.text import counted, duration, visible

Facts = list[tuple[str, str]]
_MOST_NAMES = 5


@dataclass(frozen=True, slots=True)
class Rows:
    """A table in words; `right` are the columns of numbers."""

    headings: tuple[str, ...]
    rows: list[tuple[str, ...]]
    right: frozenset[int]

    def without(self, heading: str) -> Rows:
        """Return the table without one column."""
        gone = self.headings.index(heading)
        headings, *rows = [cells[:gone] + cells[gone + 1 :] for cells in (self.headings, *self.rows)]
        return Rows(headings, rows, frozenset(place - (place > gone) for place in self.right - {gone}))

    def measure_before_last(self) -> int:
        """Return the width of all columns but the last, each with two spaces behind it."""
        return sum(max(map(_count_cells, column)) + 2 for column in self._columns()[:-1])

    def measure_last(self) -> int:
        """Return the width of the last column."""
        return max(map(_count_cells, self._columns()[-1]))

    def _columns(self) -> list[tuple[str, ...]]:
        return list(zip(self.headings, *self.rows, strict=True))


def _count_cells(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(visible(text))


def list_server_facts(snapshot: Snapshot) -> Facts:
    """Return which Redis it is, who set that, and what that overrides."""
    server = snapshot.server
    overrides = [("overrides", server.overrides)] if server.overrides else []
    return [("Redis", f"{server.line()}, set by {server.set_by}"), *overrides]


def list_daemons(daemons: Sequence[DaemonRecord], now_ms: int) -> Rows:
    """Return a row for each living daemon."""
    rows: list[tuple[str, ...]] = [
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
    return Rows(("daemon", "pid", "role", "listener", "loop", "last turn"), rows, frozenset({1, 5}))


def list_batches(batches: Sequence[PendingBatch], now_ms: int) -> Rows:
    """Return the batches that are due soonest. The chat, and the batch key to copy, only if some batch has one."""
    with_chat = any(batch.chat for batch in batches)
    with_key = any(is_hashed(batch.batch_key) for batch in batches)
    headings = (
        "phone", "messages", "due in", *(["batch key"] if with_key else []), *(["chat"] if with_chat else []),
    )  # fmt: skip
    rows = [
        (
            batch.phone,
            str(batch.size),
            _due(batch.due_ms - now_ms),
            *([batch.batch_key if is_hashed(batch.batch_key) else "-"] if with_key else []),
            *([batch.chat or "-"] if with_chat else []),
        )
        for batch in batches
    ]
    return Rows(headings, rows, frozenset({1, 2}))


def _due(in_ms: int) -> str:
    return duration(in_ms) if in_ms >= 0 else f"{duration(-in_ms)} overdue"


def list_sinks(snapshot: Snapshot, rates: Rates | None) -> tuple[Rows, list[State]]:
    """Return a row for each sink, then for each group of workers, and their states."""
    names = name_daemons(snapshot.daemons)
    now_ms, daemons_are_seen = snapshot.pending.now_ms, not snapshot.write_refusals
    described = [
        (sink, describe_sink(sink, now_ms, names, daemons_are_seen=daemons_are_seen))
        for sink in snapshot.sinks
    ]
    rows = [_sink_row(sink, rates, words) for sink, (_, words) in described]
    states = [state for _, (state, _) in described]
    for group in list_worker_groups(snapshot):
        state, words = describe_worker(group)
        rows.append((group.name, "workers", "-", "-", "-", "-", _show_left(group.left), words))
        states.append(state)
    window = "last min" if rates is None else describe_window(rates)
    headings = ("sink", "type", window, "delivered", "failed", "dead", "left", "state")
    return Rows(headings, rows, frozenset(range(2, 7))), states


def _sink_row(status: SinkStatus, rates: Rates | None, words: str) -> tuple[str, ...]:
    left = _show_left(count_left(status))
    name, kind = status.sink.name, status.sink.type
    if not status.sink.forwarded:
        return (name, kind, "-", "-", "-", "-", left, words)
    recent = None if rates is None else rates.of_sink(name, "delivered")
    counts = map(str, (status.delivered, status.failures, status.dead))
    return (name, kind, "-" if recent is None else str(recent), *counts, left, words)


def _show_left(left: int | None) -> str:
    return "?" if left is None else str(left)


def list_totals(snapshot: Snapshot) -> Facts:
    """Return the totals since the beginning; what never happened has no line."""
    pending, totals = snapshot.pending, snapshot.pending.totals
    count = totals.get
    late = f"{counted(count('stale', 0), 'batch')} handed over more than batching.overdue_ms late"
    lines = [
        ("in", count("messages_in", 0), counted(count("messages_in", 0), "message")),
        ("duplicates", count("duplicates", 0), f"{count('duplicates', 0)} not added"),
        ("skipped", 1, describe_skipped(totals)),
        ("dropped", 1, _by_kind(totals, "dropped:")),
        ("unknown account", 1, _by_kind(totals, "unknown_account:")),
        ("rejected", 1, draw_rejections(snapshot)),
        (
            "quarantine",
            count("quarantined", 0) or count("quarantine_trimmed", 0) or snapshot.quarantine,
            _describe_quarantine(snapshot),
        ),
        ("out", count("merged", 0), _describe_out(totals)),
        ("reasons", 1, _by_kind(totals, "reason:")),
        ("discarded", count("messages_discarded", 0), counted(count("messages_discarded", 0), "message")),
        ("held", count("held", 0), f"{snapshot.held.count} now, {count('held', 0)} in all"),
        ("overdue", count("stale", 0), late),
        ("stream", pending.out_length, counted(pending.out_length, "entry")),
        ("dead", snapshot.dead, counted(snapshot.dead, "message")),
    ]
    return [(label, text) for label, number, text in lines if number and text]


def describe_skipped(totals: Mapping[str, int]) -> str:
    """Return how much was skipped of each kind, with the names that events had: `event 9 (typing 7, ack 2), own 3`."""
    sums: Counter[str] = Counter()
    names: dict[str, Counter[str]] = {}
    for field, count in totals.items():
        if field.startswith("skipped:") and count:
            kind, _, name = field.removeprefix("skipped:").partition(":")
            sums[kind] += count
            if name:
                names.setdefault(kind, Counter())[name] += count
    return ", ".join(f"{kind} {sums[kind]}{_list_names(names.get(kind, Counter()))}" for kind in sorted(sums))


def _list_names(names: Counter[str]) -> str:
    if not names:
        return ""
    shown = [f"{name} {count}" for name, count in names.most_common(_MOST_NAMES)]
    return f" ({', '.join(shown)}{', …' if len(names) > _MOST_NAMES else ''})"


def _describe_out(totals: Mapping[str, int]) -> str:
    return f"{counted(totals.get('merged', 0), 'merged message')} of {totals.get('messages_out', 0)}"


def _describe_quarantine(snapshot: Snapshot) -> str:
    totals = snapshot.pending.totals
    trimmed = totals.get("quarantine_trimmed", 0)
    too_old = f", {trimmed} removed as too old or too many" if trimmed else ""
    return f"{snapshot.quarantine} now, {totals.get('quarantined', 0)} in all{too_old}"


def _by_kind(totals: Mapping[str, int], prefix: str) -> str:
    kinds = sorted(name.removeprefix(prefix) for name in totals if name.startswith(prefix))
    return ", ".join(f"{kind} {totals[prefix + kind]}" for kind in kinds if totals[prefix + kind])
