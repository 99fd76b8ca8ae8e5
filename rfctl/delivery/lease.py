"""The right to deliver for one sink: one daemon has it at a time, for a few seconds, and renews it at every turn."""

from __future__ import annotations

import time

from rfctl.store.deliveries import DeliveryQueue


class Lease:
    """Held by `daemon_id`, for `ms` at a time. Whoever dies without giving it back keeps the others waiting so long."""

    def __init__(self, deliveries: DeliveryQueue, daemon_id: str, ms: int) -> None:
        self._deliveries = deliveries
        self._daemon_id = daemon_id
        self._ms = ms
        self._until = 0.0

    @property
    def is_ours(self) -> bool:
        """Whether nobody else can have it now; by the time at which it was asked for, not answered."""
        return time.monotonic() < self._until

    async def keep(self) -> bool:
        """Take it or renew it; says whether it is ours."""
        asked_at = time.monotonic()
        ours = await self._deliveries.lease(self._daemon_id, self._ms)
        self._until = asked_at + self._ms / 1000 if ours else 0.0
        return ours

    def lose(self) -> None:
        """Act as if it had run out: the next turn takes it anew, and begins with what is unacknowledged."""
        self._until = 0.0

    async def give_back(self) -> None:
        """Let the next one have it at once."""
        self.lose()
        await self._deliveries.lease(self._daemon_id, 0)
