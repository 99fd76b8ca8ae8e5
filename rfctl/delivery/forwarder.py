"""The loop that delivers: output stream → one sink. `step()` is one turn and can be called alone.

One daemon at a time delivers for a sink, by a lease in Redis; the others stand by. Whoever gets the lease begins
with what the last holder had read and not acknowledged. What a turn reads goes to the lanes, one a phone.
"""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from rfctl.delivery.lease import Lease
from rfctl.delivery.phone_queues import PhoneQueues
from rfctl.delivery.target import RetryPolicy
from rfctl.errors import RfctlError
from rfctl.sinks.contract import Sink
from rfctl.sinks.redis import RedisSink
from rfctl.store.deliveries import DeliveryQueue
from rfctl.timing import sleep_or_stop

_log = structlog.get_logger("delivery")
_MOST_WAIT_S = 2.0
_FROM_THE_START = "0-0"
_RECOVERY_PAGE = 256
"""Entries: after a receiver was down for long, most of them only take their places behind held phones."""


class Forwarder:
    """Delivers what one shard's output stream has for one sink; `daemon_id` tells this daemon from all others."""

    def __init__(
        self, deliveries: DeliveryQueue, sink: Sink | RedisSink, policy: RetryPolicy, daemon_id: str
    ) -> None:
        self._deliveries = deliveries
        self._policy = policy
        self._daemon_id = daemon_id
        self._lease = Lease(deliveries, daemon_id, policy.lease_ms)
        self._queues = PhoneQueues(deliveries, sink, policy, self._lease)
        self._recovering: str | None = None
        self._log = _log.bind(sink=deliveries.sink)

    async def run(self, stopping: asyncio.Event) -> None:
        """Turn until `stopping` is set; then let what is on its way arrive, for a while, and give the lease back."""
        failures = 0
        try:
            while not stopping.is_set():
                try:
                    await self.step()
                    failures = 0
                except RfctlError as problem:
                    if not failures:
                        self._log.error("redis_unavailable", component="forwarder", problem=problem.fact)
                    failures += 1
                    await sleep_or_stop(stopping, min(_MOST_WAIT_S, 0.05 * 2 ** min(failures, 6)))
        finally:
            await self._queues.end(self._policy.finish_ms)
            with contextlib.suppress(RfctlError):
                await self._lease.release()

    async def step(self) -> None:
        """Take one turn: keep the lease, start what is due, read what is new and start it. At most about `max_sleep_ms`."""
        problem, self._queues.broken = self._queues.broken, None
        if problem is not None:
            self._begin_anew()
            raise RfctlError(f"a lane broke: {problem!r}")
        if not await self._keep_lease():
            self._queues.cancel_all()
            await asyncio.sleep(min(self._policy.max_sleep_ms, self._policy.lease_ms / 6) / 1000)
        elif await self._is_paused():
            await asyncio.sleep(self._policy.max_sleep_ms / 1000)
        else:
            await self._deliver()

    async def _deliver(self) -> None:
        try:
            if self._recovering is not None:
                await self._recover(self._recovering)
            else:
                await self._deliver_next()
        except RfctlError:  # what was read may be forgotten here, and is still unacknowledged in Redis
            self._begin_anew()
            raise

    def _begin_anew(self) -> None:
        """Let the lanes end after the message that each is at, then take up all that is unacknowledged."""
        self._recovering = _FROM_THE_START
        self._queues.ending = True

    async def _keep_lease(self) -> bool:
        had_it = self._lease.is_ours
        ours = await self._lease.take_or_renew()
        if ours and not had_it:
            self._queues.cancel_all()
            await self._deliveries.open()
            self._recovering = _FROM_THE_START
        return ours

    async def _is_paused(self) -> bool:
        queues = self._queues
        pauses, on_its_way = queues.pauses, queues.pausing > 0
        said = await self._deliveries.paused()
        queues.paused = said or on_its_way or queues.pauses != pauses
        return queues.paused

    async def _recover(self, after: str) -> None:
        """Take up what the last one had read and not acknowledged, page by page, before anything new."""
        if self._queues.full or (after == _FROM_THE_START and len(self._queues)):
            await self._queues.wait_for_slot(self._policy.max_sleep_ms)
            return
        self._queues.ending = False
        entries = await self._deliveries.unacknowledged(after, _RECOVERY_PAGE, self._daemon_id)
        if entries is None:
            self._lease.expire()
            return
        self._recovering = entries[-1].id if entries else None
        await self._queues.enqueue(entries)

    async def _deliver_next(self) -> None:
        """Start the phones whose next try is due, and read what is new."""
        names, next_ms = await self._deliveries.due(2 * self._policy.concurrency + len(self._queues))
        for name in names:
            self._queues.start_due(name)
        wait_ms = (
            self._policy.max_sleep_ms if next_ms is None else max(1, min(self._policy.max_sleep_ms, next_ms))
        )
        if self._queues.full:
            await self._queues.wait_for_slot(wait_ms)
        else:
            entries = await self._deliveries.unread(2 * self._policy.concurrency, wait_ms, self._daemon_id)
            if entries is None:
                self._lease.expire()
            else:
                await self._queues.enqueue(entries)
