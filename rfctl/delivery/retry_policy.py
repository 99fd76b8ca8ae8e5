"""How fast and how patiently a sink is served."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """How one sink is served: the waits between tries (ms), phones at a time, and the daemon's own rhythm (ms)."""

    retry_ms: tuple[int, ...]
    parallel: int = 16
    check_ms: int = 1000
    lease_ms: int = 3000
    finish_ms: int = 3000
