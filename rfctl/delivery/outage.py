"""Detects that a receiver was down as a whole, by the phones whose deliveries fail or succeed. Pure.

It is an outage when several phones fail one after another while no delivery succeeds for some seconds. After the next
success, the messages of these phones need not wait for their schedules. If a phone fails again after that, its message
is the reason: it is no sign of the next outage. A failure is no sign either if the receiver set the wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

_MIN_PHONES = 3
_MIN_OUTAGE_S = 5.0


@dataclass(frozen=True, slots=True)
class Recovery:
    """The end of an outage: the batch key of the first success, and those that failed meanwhile."""

    first: str
    failed: frozenset[str]


class OutageDetector:
    """Follows one receiver. `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failing: set[str] = set()
        self._rejected: set[str] = set()
        self._succeeded_at = clock()

    def record_failure(self, batch_key: str, *, receiver_set_wait: bool) -> bool:
        """Record a failure. Returns True if its message must keep its own wait even after a recovery."""
        keeps_wait = receiver_set_wait or batch_key in self._rejected
        if not keeps_wait:
            self._failing.add(batch_key)
        return keeps_wait

    def record_success(self, batch_key: str) -> Recovery | None:
        """Record a success. Returns the recovery if it ends an outage."""
        now = self._clock()
        failed = frozenset(self._failing)
        is_recovery = len(failed) >= _MIN_PHONES and now - self._succeeded_at >= _MIN_OUTAGE_S
        if is_recovery:
            self._rejected |= failed
        self._failing.clear()
        self._rejected.discard(batch_key)
        self._succeeded_at = now
        return Recovery(batch_key, failed) if is_recovery else None

    def record_dead_letter(self, batch_key: str) -> None:
        """Record that the failing message is dead. The phone's next message has nothing to do with it."""
        self._rejected.discard(batch_key)
        self._failing.discard(batch_key)
