"""How much came in and went out within the last minute: the totals of now less those that a daemon sampled then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rfctl.store import DaemonRecord
from rfctl.store.recent_totals import WINDOW_MS

_LEAST_MS = 5_000
"""What happened within less says nothing."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What was counted within the last `window_ms`, by the names of the totals. It is about a minute, or since the start.

    Nothing is extrapolated: a burst of five seconds is no rate of a minute.
    """

    window_ms: int
    counts: Mapping[str, int] = field(default_factory=dict)

    def of_sink(self, sink: str, what: str) -> int | None:
        """Return how many attempts of a sink were `delivered`, or `failures`; None for a sink that no daemon samples."""
        return self.counts.get(f"sink:{sink}:{what}")


def measure_rates(daemons: Sequence[DaemonRecord], totals: Mapping[str, int], now_ms: int) -> Rates | None:
    """Return what was counted since the sample of a living daemon that is nearest to a minute old.

    None if there is no such sample, or if somebody has deleted the totals since.
    """
    samples = [daemon.totals_before for daemon in daemons if daemon.totals_before is not None]
    usable = [sample for sample in samples if now_ms - sample.at_ms >= _LEAST_MS]
    if not usable:
        return None
    before = min(usable, key=lambda sample: abs(now_ms - sample.at_ms - WINDOW_MS))
    counts = {name: totals.get(name, 0) - count for name, count in before.counts.items()}
    return None if min(counts.values(), default=0) < 0 else Rates(now_ms - before.at_ms, counts)
