"""Whether the work goes on: the last turn, the service manager's watchdog, and readiness."""

from __future__ import annotations

import time
from typing import Any

from rfctl.daemon.systemd import Notifier
from rfctl.errors import RfctlError
from rfctl.store import Store

_NOTIFY_EVERY_S = 1.0
_GRACE_MS = 2000


class Readiness:
    """Records every turn of the loop that matters: the scheduler's, or, without one, the heartbeat's."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._turned_at = time.monotonic()
        self._notified_at = 0.0

    def record_turn(self) -> None:
        """Record a turn, and feed the watchdog by it."""
        now = time.monotonic()
        self._turned_at = now
        if now - self._notified_at >= _NOTIFY_EVERY_S:
            self._notified_at = now
            self._notifier.feed_watchdog()

    def age_ms(self) -> int:
        """Return how long ago the last turn was, ms."""
        return int((time.monotonic() - self._turned_at) * 1000)

    async def check(self, store: Store, *, max_sleep_ms: int) -> tuple[bool, dict[str, Any]]:
        """Return whether Redis answers and the loop turns, and which Redis it is."""
        facts: dict[str, Any] = {"redis": store.address.shown(), "lastTurnMs": self.age_ms()}
        try:
            server = await store.server_info()
        except RfctlError as problem:
            return False, {**facts, "problem": problem.fact}
        facts |= {"db": server.db, "run_id": server.run_id, "set_by": server.set_by}
        return self.age_ms() <= 3 * max_sleep_ms + _GRACE_MS, facts
