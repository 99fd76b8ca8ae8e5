"""How it went in the last minutes: the sums of what the living daemons say in their records. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rfctl.model.recent_values import find_percentile
from rfctl.store import DaemonRecord
from rfctl.store.recent_work import MinuteCounts, RecentAttempts


@dataclass(frozen=True, slots=True)
class SinkPace:
    """The attempts of one sink: which share delivered (0 to 1), and the time that 95 % of all took at most (ms)."""

    ok_share: float
    p95_ms: int


@dataclass(frozen=True, slots=True)
class Recent:
    """The last minutes. `ins` and `outs` are counts of whole minutes, oldest first; `paces` are by sink.

    None and absence stand for nothing in these minutes.
    """

    ins: Sequence[int] = ()
    outs: Sequence[int] = ()
    wait_p50_ms: int | None = None
    wait_p95_ms: int | None = None
    late_p99_ms: int | None = None
    paces: Mapping[str, SinkPace] = field(default_factory=dict)


def sum_up_recent(daemons: Sequence[DaemonRecord]) -> Recent:
    """Return what these daemons did. Each counts the minutes of all: the one that counts longest is taken."""
    minutes = max(
        (daemon.minutes for daemon in daemons), key=lambda minutes: len(minutes.ins), default=MinuteCounts()
    )
    waits = _add_up(daemon.recent_work.waits for daemon in daemons)
    lateness = _add_up(daemon.recent_work.lateness for daemon in daemons)
    return Recent(
        ins=minutes.ins,
        outs=minutes.outs,
        wait_p50_ms=find_percentile(waits, 0.5),
        wait_p95_ms=find_percentile(waits, 0.95),
        late_p99_ms=find_percentile(lateness, 0.99),
        paces=_find_paces(daemons),
    )


def _add_up(all_counts: Iterable[Mapping[int, int]]) -> Counter[int]:
    sums: Counter[int] = Counter()
    for counts in all_counts:
        sums.update(counts)
    return sums


def _find_paces(daemons: Sequence[DaemonRecord]) -> dict[str, SinkPace]:
    by_sink: dict[str, list[RecentAttempts]] = {}
    for daemon in daemons:
        for sink, attempts in daemon.recent_work.attempts.items():
            by_sink.setdefault(sink, []).append(attempts)
    paces = {}
    for sink, parts in by_sink.items():
        delivered = _add_up(part.delivered for part in parts)
        all_attempts = delivered + _add_up(part.failed for part in parts)
        p95_ms = find_percentile(all_attempts, 0.95)
        if p95_ms is not None:
            paces[sink] = SinkPace(delivered.total() / all_attempts.total(), p95_ms)
    return paces
