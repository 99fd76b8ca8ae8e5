"""The slots of one sink: so many attempts at once as its policy allows, each made and counted in one place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from rfctl.delivery.attempt import Attempt, Outcome, attempt_delivery
from rfctl.delivery.attempt_counts import AttemptCounts
from rfctl.delivery.lease import LeaseLostError
from rfctl.delivery.sending import send
from rfctl.delivery.state import SinkState
from rfctl.delivery.target import RetryPolicy
from rfctl.sinks.contract import Sink
from rfctl.sinks.redis import RedisSink
from rfctl.store import DeliveryQueue, StreamEntry


class AttemptSlots:
    """The slots of one sink. They ask `read_state` before each attempt, which `attempt` makes and `counts` counts."""

    def __init__(
        self,
        deliveries: DeliveryQueue,
        sink: Sink | RedisSink,
        policy: RetryPolicy,
        read_state: Callable[[], SinkState],
        counts: AttemptCounts | None = None,
        attempt: Attempt = attempt_delivery,
    ) -> None:
        self._deliveries = deliveries
        self._sink = sink
        self._policy = policy
        self._read_state = read_state
        self._counts = counts or AttemptCounts()
        self._make_attempt = attempt
        self._slots = asyncio.Semaphore(policy.concurrency)

    async def attempt(self, entry: StreamEntry) -> Outcome | None:
        """Attempt one delivery in a slot of its own. Returns None if it may not start now.

        A queue waits long for its slot, and the state may have changed. While Redis is away no slot is taken. Raises
        LeaseLostError, and what `attempt_delivery` does.
        """
        async with self._slots:
            state = self._read_state()
            if not state.leased:
                raise LeaseLostError
            if not state.may_start:
                return None
            send_entry = partial(send, self._sink, self._deliveries, entry)
            attempt = self._make_attempt(send_entry, entry, self._policy, self._deliveries.instance_id)
            return await self._counts.measure(attempt)
