"""Whether every loop of the daemon takes its turns: one that is stuck must not be hidden by the others that go on."""

from __future__ import annotations

from collections.abc import Callable

import structlog

_STUCK_S, _CALLS_OF_A_TURN = 30.0, 10
"""A loop is stuck after so long, and so many calls that Redis has not answered in time."""
_log = structlog.get_logger("daemon")


class Loops:
    """The loops that feed no watchdog themselves, by name, with what says how long ago each took a turn (s).

    A turn counts whatever came of it: while Redis is away, all of them fail. A call of Redis may take `timeout_ms`.
    """

    def __init__(self, timeout_ms: int = 2000) -> None:
        self._limit_s = _STUCK_S + _CALLS_OF_A_TURN * timeout_ms / 1000
        self._ages: dict[str, Callable[[], float]] = {}
        self._is_stuck = False

    def watch(self, name: str, measure_age_s: Callable[[], float]) -> None:
        """Watch a loop from now on."""
        self._ages[name] = measure_age_s

    def find_stuck(self) -> dict[str, int]:
        """Return the loops that are stuck, and for how long, s."""
        ages = {name: measure() for name, measure in self._ages.items()}
        return {name: round(age) for name, age in ages.items() if age > self._limit_s}

    def all_turn(self) -> bool:
        """Say whether no loop is stuck, and log it once when one is."""
        stuck = self.find_stuck()
        if stuck and not self._is_stuck:
            _log.error("loop_stuck", loops=stuck, next="the watchdog of systemd starts the daemon again")
        self._is_stuck = bool(stuck)
        return not stuck
