"""How fast and how patiently a sink is served."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How one sink is served: the waits between tries (ms), phones at a time, and the daemon's own rhythm (ms)."""

    retry_delays_ms: tuple[int, ...]
    concurrency: int = 16
    max_sleep_ms: int = 1000
    lease_ms: int = 3000
    finish_ms: int = 3000
