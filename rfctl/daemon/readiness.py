"""The answer to "can this daemon do its work now?": for /readyz, the heartbeat and the watchdog of systemd."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rfctl.daemon.systemd import Notifier
from rfctl.errors import RfctlError
from rfctl.store import Store

_NOTIFY_EVERY_S = 1.0
_GRACE_MS = 2000


class Readiness:
    """Records every turn of the loop that matters: the scheduler's, or, without a scheduler, the heartbeat's.

    `clock` counts seconds.
    """

    def __init__(self, notifier: Notifier, clock: Callable[[], float] = time.monotonic) -> None:
        self._notifier = notifier
        self._clock = clock
        self._turned_at = clock()
        self._notified_at = float("-inf")

    def record_turn(self) -> None:
        """Record a turn, and feed the watchdog at most once a second."""
        now = self._clock()
        self._turned_at = now
        if now - self._notified_at >= _NOTIFY_EVERY_S:
            self._notified_at = now
            self._notifier.feed_watchdog()

    def measure_turn_age_ms(self) -> int:
        """Return the time since the last turn, ms."""
        return int((self._clock() - self._turned_at) * 1000)

    async def check(self, store: Store, *, max_sleep_ms: int) -> tuple[bool, dict[str, Any]]:
        """Return whether Redis answers and the loop turns, and which Redis it is."""
        facts: dict[str, Any] = {"redis": store.address.shown(), "lastTurnMs": self.measure_turn_age_ms()}
        try:
            server = await store.server_info()
        except RfctlError as problem:
            return False, {**facts, "problem": problem.fact}
        facts |= {"db": server.db, "run_id": server.run_id, "set_by": server.set_by}
        return self.measure_turn_age_ms() <= 3 * max_sleep_ms + _GRACE_MS, facts
