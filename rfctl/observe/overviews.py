"""From a snapshot and its findings to an overview. Pure.

The records of the daemons say how it went in the last minutes. What happened last comes beside: a snapshot has it not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from rfctl.batching.batch_sizes import BatchSizes
from rfctl.observe.finding import Finding
from rfctl.observe.overview import (
    DaemonLine,
    FindingRow,
    Flow,
    LastLine,
    Overview,
    SinkRow,
    Waiting,
    WaitingRow,
    WorkerRow,
)
from rfctl.observe.rates import Rates, measure_rates
from rfctl.observe.recent import Recent, SinkPace, sum_up_recent
from rfctl.observe.snapshot import Snapshot
from rfctl.observe.words import describe_daemons, describe_sink, describe_worker, judge, name_daemons
from rfctl.store import ConsumerGroup, DaemonRecord, PendingBatch, ServerInfo, SinkStatus
from rfctl.store.sink_status import count_left, count_pending
from rfctl.text import visible

_DAY_MS = 86_400_000
_TEXT = 200
"""So many characters of a text are shown."""


@dataclass(frozen=True, slots=True)
class Beside:
    """What a snapshot does not have. `last` has the newest first.

    `dead` are the dead letters by sink (None: too many to look at each). `sizes` tells
    how many messages a batch may have.
    """

    last: Sequence[LastLine] = ()
    dead: Mapping[str, int] | None = None
    sizes: BatchSizes = field(default_factory=BatchSizes)


_NOTHING = Beside()


def build_overview(snapshot: Snapshot, problems: Sequence[Finding], beside: Beside = _NOTHING) -> Overview:
    """Return what a screen shows of a snapshot; `problems` are its findings."""
    recent = sum_up_recent(snapshot.daemons)
    rates = measure_rates(snapshot.daemons, snapshot.pending.totals, snapshot.pending.now_ms)
    state, word = judge(problems)
    return Overview(
        now_ms=snapshot.pending.now_ms,
        state=state,
        word=word,
        daemons_line=describe_daemons(snapshot.daemons),
        daemons=tuple(_build_daemon(daemon, snapshot.pending.now_ms) for daemon in snapshot.daemons),
        redis_line=_describe_server(snapshot.server),
        flow=_build_flow(snapshot, rates, recent),
        waiting=_build_waiting(snapshot, beside.sizes),
        sinks=_build_sinks(snapshot, rates, recent, beside.dead),
        workers=_build_workers(snapshot),
        findings=tuple(map(_build_finding, problems)),
        last=tuple(beside.last),
    )


def _build_daemon(daemon: DaemonRecord, now_ms: int) -> DaemonLine:
    ago_ms = max(0, now_ms - daemon.turned_ms)
    return DaemonLine(daemon.host, daemon.pid, daemon.version, daemon.role, daemon.listener, ago_ms)


def _describe_server(server: ServerInfo) -> str:
    """Say which Redis it is and how safe it keeps messages; the address stands first."""
    aof = {True: "AOF", False: "no AOF"}.get(server.aof) if server.aof is not None else "AOF unknown"
    return f"{server.place} · run {server.run_id[:8]} · {aof} · {server.eviction}"


def _build_flow(snapshot: Snapshot, rates: Rates | None, recent: Recent) -> Flow:
    came = None if rates is None else rates.counts.get("messages_in")
    left = None if rates is None else rates.counts.get("messages_out")
    merged = None if rates is None else rates.counts.get("merged")
    return Flow(
        in_per_min=came,
        out_per_min=merged,
        ins=tuple(recent.ins),
        outs=tuple(recent.outs),
        ratio=left / merged if left and merged else None,
        wait_p50_ms=recent.wait_p50_ms,
        wait_p95_ms=recent.wait_p95_ms,
        late_p99_ms=recent.late_p99_ms,
        missing=_count_missing(snapshot),
        dead=snapshot.dead,
        quarantine=snapshot.quarantine,
    )


def _count_missing(snapshot: Snapshot) -> int:
    """Return what vanished, if the last of it did within a day: batches when due, and messages before a sink."""
    sweep, now_ms = snapshot.sweep, snapshot.pending.now_ms
    batches = sweep.missing if sweep.missing_at_ms and now_ms - sweep.missing_at_ms < _DAY_MS else 0
    return batches + sum(
        sink.missing
        for sink in snapshot.sinks
        if sink.missing_ago_ms is not None and sink.missing_ago_ms < _DAY_MS
    )


def _build_waiting(snapshot: Snapshot, sizes: BatchSizes) -> Waiting:
    pending = snapshot.pending
    general = _find_general_size(snapshot.daemons)
    rows = tuple(_build_row(batch, pending.now_ms, sizes.find(batch, general)) for batch in pending.next_due)
    return Waiting(
        batches=pending.batches,
        messages=pending.messages,
        oldest_ms=None if pending.oldest_ms is None else max(0, pending.now_ms - pending.oldest_ms),
        overdue=pending.overdue,
        held=snapshot.held.count,
        beyond=max(0, pending.batches - len(rows)),
        rows=rows,
    )


def _find_general_size(daemons: Sequence[DaemonRecord]) -> int | None:
    """Return batching.max_size of the daemons, None where none says it, or they do not agree."""
    sizes = {daemon.max_size for daemon in daemons if daemon.max_size}
    return sizes.pop() if len(sizes) == 1 else None


def _build_row(batch: PendingBatch, now_ms: int, max_size: int | None) -> WaitingRow:
    return WaitingRow(
        batch_key=batch.batch_key,
        phone=batch.phone,
        chat=batch.chat,
        account=batch.account,
        source=batch.channel,
        size=batch.size,
        max_size=max_size,
        due_in_ms=batch.due_ms - now_ms,
        waited_ms=None if batch.received_ms is None else max(0, now_ms - batch.received_ms),
        fraction=_measure_fraction(batch.last_ms or batch.received_ms, batch.due_ms, now_ms),
        text=_clean(batch.text),
        is_held=batch.is_held,
    )


def _clean(text: str) -> str:
    """Return a stranger's text on one line, fit for a terminal, and bounded."""
    return visible(" ".join(text.split()))[:_TEXT]


def _measure_fraction(began_ms: int | None, due_ms: int, now_ms: int) -> float:
    """Return how much of the time from then until due has passed, 0 to 1."""
    if now_ms >= due_ms:
        return 1.0
    if began_ms is None or began_ms >= now_ms:
        return 0.0
    return (now_ms - began_ms) / (due_ms - began_ms)


def _build_sinks(
    snapshot: Snapshot, rates: Rates | None, recent: Recent, dead: Mapping[str, int] | None
) -> tuple[SinkRow, ...]:
    names = name_daemons(snapshot.daemons)
    rows = (
        _build_sink(status, snapshot, names, rates, recent.paces.get(status.sink.name))
        for status in snapshot.sinks
    )
    if dead is None:
        return tuple(rows)
    return tuple(msgspec.structs.replace(row, dead=dead.get(row.name, 0)) for row in rows)


def _build_sink(
    status: SinkStatus,
    snapshot: Snapshot,
    names: Mapping[str, str],
    rates: Rates | None,
    pace: SinkPace | None,
) -> SinkRow:
    now_ms, retry_ms = snapshot.pending.now_ms, status.next_retry_ms
    state, words = describe_sink(status, now_ms, names, daemons_are_seen=not snapshot.write_refusals)
    return SinkRow(
        name=status.sink.name,
        type=status.sink.type,
        state=state,
        words=words,
        per_min=None if rates is None else rates.of_sink(status.sink.name, "delivered"),
        ok_share=None if pace is None else pace.ok_share,
        p95_ms=None if pace is None else pace.p95_ms,
        left=count_left(status),
        dead=min(status.dead, snapshot.dead),
        is_paused=status.paused is not None,
        next_try_in_ms=None if retry_ms is None else max(0, retry_ms - now_ms),
        is_forwarded=status.sink.forwarded,
        pause=status.paused,
    )


def _build_workers(snapshot: Snapshot) -> tuple[WorkerRow, ...]:
    groups: dict[str, list[ConsumerGroup]] = {}
    for group in snapshot.workers():
        groups.setdefault(group.name, []).append(group)
    rows = []
    for name, parts in groups.items():
        state, words = describe_worker(parts, snapshot.pending.out_length)
        rows.append(WorkerRow(name, state, words, count_pending(parts)))
    return tuple(rows)


def _build_finding(problem: Finding) -> FindingRow:
    return FindingRow(
        problem.code, problem.severity, problem.subject, problem.fact, problem.set_by, problem.fix
    )
