"""The right to deliver for a sink: one daemon has it at a time, for a few seconds, and renews it at every turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from rfctl.errors import RedisCannotNowError, RedisUnreachableError, RfctlError
from rfctl.store import DeliveryQueue

_RETRY_DELAY_S = 0.1
T = TypeVar("T")


class Lease:
    """The lease of `daemon_id`, for `lease_ms` at a time. After a crash the other daemons wait so long.

    `clock` counts seconds. `term` counts how often the lease was taken anew: in between another daemon may have had it.
    """

    def __init__(
        self,
        deliveries: DeliveryQueue,
        daemon_id: str,
        lease_ms: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._deliveries = deliveries
        self._daemon_id = daemon_id
        self._lease_ms = lease_ms
        self._clock = clock
        self._ours_until = float("-inf")
        self.term = 0

    @property
    def is_ours(self) -> bool:
        """Whether no other daemon can have the lease now."""
        return self._clock() < self._ours_until

    async def take_or_renew(self) -> bool:
        """Take the lease, or renew it. Returns whether it is ours. Raises RfctlError; then it runs on as before."""
        # It counts from the question: Redis may have answered long before we read it.
        asked_at = self._clock()
        is_taken = await self._deliveries.lease(self._daemon_id, self._lease_ms)
        if is_taken and not self.is_ours:  # it may have run out before Redis got the question
            self.term += 1
        self._ours_until = asked_at + self._lease_ms / 1000 if is_taken else float("-inf")
        return is_taken

    def expire(self) -> None:
        """Act as if the lease had run out: the next turn takes it anew, and starts with unacknowledged entries."""
        self._ours_until = float("-inf")

    async def release(self) -> None:
        """Let another daemon have the lease at once. Raises RfctlError; then it runs out by itself."""
        self.expire()
        await self._deliveries.lease(self._daemon_id, 0)


class LeaseLostError(RfctlError):
    """The lease is no longer ours: another daemon may deliver now."""

    def __init__(self) -> None:
        super().__init__("the lease has run out")


async def retry_while_leased(is_leased: Callable[[], bool], call: Callable[[], Awaitable[T]]) -> T:
    """Repeat a call until Redis serves it, as long as the lease is ours. Raises LeaseLostError, and RfctlError."""
    while is_leased():
        try:
            return await call()
        except (RedisUnreachableError, RedisCannotNowError):
            await asyncio.sleep(_RETRY_DELAY_S)
    raise LeaseLostError
