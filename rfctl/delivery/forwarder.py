"""The loop that delivers from the output stream to one sink. `step()` is one turn and can be called alone.

One daemon at a time delivers for a sink, by a lease in Redis; the others stand by. The daemon that gets the lease begins
with the entries that were read and not acknowledged. The phone queues deliver what a turn reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable

import structlog

from rfctl.delivery.attempt import Attempt, PauseRequested, attempt_delivery
from rfctl.delivery.attempt_counts import AttemptCounts
from rfctl.delivery.budget import ByteBudget
from rfctl.delivery.lease import Lease, LeaseLostError, retry_while_leased
from rfctl.delivery.phone_queues import PhoneQueues
from rfctl.delivery.state import LeaseLost, Report, SinkState
from rfctl.delivery.target import RetryPolicy
from rfctl.errors import GroupMissingError, RfctlError
from rfctl.sinks.contract import DeliveryError, Sink
from rfctl.sinks.redis import RedisSink
from rfctl.store import DeliveryQueue, SinkPausedError, StreamEntry
from rfctl.timing import sleep_or_stop

_log = structlog.get_logger("delivery")
_MAX_BACKOFF_S = 2.0
_QUIET_S = 30.0
"""After a failure, so long without another one is a recovery."""
_FROM_THE_START = "0-0"
_RECOVERY_PAGE = 100
"""Entries. After a long outage most of them only take their places behind phones that wait in Redis."""


class StartedOverError(RfctlError):
    """A phone's queue failed, and the forwarder begins again with unacknowledged entries. It is logged already."""


class Forwarder:
    """Delivers one shard's output stream to one sink. Only the forwarder changes the sink's state.

    `daemon_id` tells this daemon from all others. `budget` and `attempts` are those of the sink in this daemon. With
    `retry_at_start` all that waits is tried at once: the old settings may be why deliveries failed. `attempt` makes each
    attempt.
    """

    def __init__(
        self,
        deliveries: DeliveryQueue,
        sink: Sink | RedisSink,
        policy: RetryPolicy,
        daemon_id: str,
        budget: ByteBudget | None = None,
        attempts: AttemptCounts | None = None,
        *,
        retry_at_start: bool = False,
        attempt: Attempt = attempt_delivery,
    ) -> None:
        self._deliveries = deliveries
        self._policy = policy
        self._daemon_id = daemon_id
        self._lease = Lease(deliveries, daemon_id, policy.lease_ms)
        self._state = SinkState()
        self._queues = PhoneQueues(
            deliveries, sink, policy, self._read_state, self._on_report, budget, attempts, attempt
        )
        self._opened_term = 0
        self._recover_after: str | None = _FROM_THE_START
        self._retry_at_start = retry_at_start
        self._stopping = asyncio.Event()
        self._pause_to_store = ""
        self._pauses_on_their_way = 0
        self._log = _log.bind(sink=deliveries.sink)
        self._turned_at: float | None = None

    def measure_age_s(self) -> float:
        """Return how long ago it took its last turn, s, whatever came of it; 0 before the first."""
        return 0.0 if self._turned_at is None else time.monotonic() - self._turned_at

    async def run(self, stopping: asyncio.Event) -> None:
        """Take turns until `stopping` is set. Then wait a while for deliveries on their way, and release the lease."""
        self._stopping = stopping
        failures = _Failures(self._log, stalled_s=3 * self._policy.lease_ms / 1000)
        try:
            while not stopping.is_set():
                self._turned_at = time.monotonic()
                try:
                    await self.step()
                except RfctlError as problem:
                    await sleep_or_stop(stopping, failures.record(problem))
        finally:
            self._state = self._state.drain()
            await self._queues.wait_until_drained(self._policy.finish_ms)
            with contextlib.suppress(RfctlError):
                await self._lease.release()

    async def step(self) -> None:
        """Take one turn of at most about `max_sleep_ms`: renew the lease, start due phones, read and start new entries.

        Raises RfctlError; then the next turn starts over with unacknowledged entries.
        """
        if (failure := self._state.failure) is not None:
            self._start_over()
            crash = None if isinstance(failure, RfctlError) else failure
            self._log.error("deliveries_restarted", problem=str(failure), exc_info=crash)
            raise StartedOverError(f"a phone's queue failed: {failure}")
        if not self._pauses_on_their_way:
            await self._settle_pauses()
        if not await self._take_or_renew_lease():
            self._queues.cancel_all()
            await self._sleep(min(self._policy.max_sleep_ms, self._policy.lease_ms / 6))
        elif await self._read_pause():
            await self._sleep(self._policy.max_sleep_ms)
        else:
            await self._read_and_start()

    async def _sleep(self, ms: float) -> None:
        await sleep_or_stop(self._stopping, ms / 1000)

    # --- the state

    def _read_state(self) -> SinkState:
        return self._state.with_lease(is_ours=self._lease.is_ours)

    async def _on_report(self, report: Report) -> None:
        self._state = self._state.after(report)
        match report:
            case LeaseLost():
                self._lease.expire()
            case PauseRequested(problem):
                await self._store_pause(problem)

    async def _store_pause(self, problem: DeliveryError) -> None:
        self._log.error("sink_paused", problem=problem.fact, next=f"rfctl resume {self._deliveries.sink}")
        self._pause_to_store = problem.fact
        self._pauses_on_their_way += 1
        try:
            await retry_while_leased(lambda: self._lease.is_ours, self._settle_pauses)
        finally:
            self._pauses_on_their_way -= 1

    async def _settle_pauses(self) -> None:
        """Store the pause that a receiver asked for. Until that has succeeded, each turn begins with it."""
        if self._pause_to_store:
            requested = self._state.pauses_requested
            await self._deliveries.pause(self._pause_to_store, requested)
            self._state = self._state.after_pauses_settled(requested)
            if requested == self._state.pauses_requested:
                self._pause_to_store = ""

    async def _read_pause(self) -> bool:
        asked_in = self._state
        is_paused = await self._deliveries.is_paused()
        self._state = self._state.after_pause_read(is_paused=is_paused, asked_in=asked_in)
        return self._state.paused

    def _start_over(self) -> None:
        """Let every queue end after the message that it is at, then read all unacknowledged entries again."""
        self._recover_from(_FROM_THE_START)
        self._state = self._state.start_over()

    def _recover_from(self, entry_id: str) -> None:
        """Read next what is unacknowledged behind this entry; what is up to it is in its queue, or waits in Redis."""
        self._recover_after = entry_id
        self._state = self._state.recover_to(entry_id)

    # --- one turn

    async def _take_or_renew_lease(self) -> bool:
        """Say whether the lease is ours. After it was taken anew everything begins with unacknowledged entries.

        That is noted before the calls that may fail: the next turn makes up for them.
        """
        if not await self._lease.take_or_renew():
            return False
        self._state = self._state.with_lease(is_ours=True)
        term = self._lease.term
        if term != self._opened_term:
            self._queues.cancel_all()
            self._recover_from(_FROM_THE_START)
            await self._deliveries.open(self._policy.longest_wait_ms)
            if self._retry_at_start:
                await self._deliveries.retry_now()
                self._retry_at_start = False
            self._opened_term = term
        return True

    async def _read_and_start(self) -> None:
        try:
            if self._recover_after is None:
                await self._read_new()
            else:
                await self._read_unacknowledged(self._recover_after)
        except LeaseLostError:
            self._lease.expire()
        except SinkPausedError:
            return  # the next turn asks again, and says so to the queues
        except RfctlError:
            # The entries of this read may be lost here, and are still unacknowledged in Redis. After a failover there may
            # be more, also older ones: so nothing less than all is read again.
            self._start_over()
            raise

    async def _read_unacknowledged(self, after: str) -> None:
        """Read one page of the entries that were read before and not acknowledged, before anything new.

        Phones that are due start meanwhile: there may be very many entries, and a busy Redis may refuse some reads.
        """
        if self._queues.is_full or (after == _FROM_THE_START and len(self._queues)):
            await self._queues.wait_for_slot(self._policy.max_sleep_ms)
            return
        self._state = self._state.resume()
        entries = await self._read(
            self._deliveries.read_unacknowledged(after, _RECOVERY_PAGE, self._daemon_id)
        )
        if entries is None:
            raise LeaseLostError
        if not entries:
            self._recover_after = None
            self._state = self._state.recover_to(None)
            return
        await self._enqueue(entries)
        self._recover_from(entries[-1].id)
        await self._start_due()

    async def _enqueue(self, entries: list[StreamEntry]) -> None:
        try:
            await self._queues.enqueue(entries)
        except LeaseLostError:  # some of them may be in no queue, and the next lease may have the same term
            self._start_over()
            raise

    async def _start_due(self) -> int | None:
        """Start the phones whose next attempt is due. Returns in how many ms the next one is due (None: no other)."""
        most = 2 * self._policy.concurrency + len(self._queues)
        batch_keys, next_ms = await self._deliveries.find_due(most)
        for batch_key in batch_keys:
            self._queues.start_due(batch_key)
        return next_ms

    async def _read_new(self) -> None:
        """Start the phones whose next attempt is due, then read new entries and start them."""
        max_sleep_ms, page = self._policy.max_sleep_ms, 2 * self._policy.concurrency
        next_ms = await self._start_due()
        wait_ms = max_sleep_ms if next_ms is None else max(1, min(max_sleep_ms, next_ms))
        if self._queues.is_full:
            await self._queues.wait_for_slot(wait_ms)
            return
        entries = await self._read(self._deliveries.read_new(page, wait_ms, self._daemon_id))
        if entries is None:
            raise LeaseLostError
        await self._enqueue(entries)

    async def _read(self, entries: Awaitable[list[StreamEntry] | None]) -> list[StreamEntry] | None:
        try:
            return await entries
        except GroupMissingError:  # somebody has deleted the group, or everything: begin with what is kept
            await self._deliveries.open()
            return []


class _Failures:
    """The failures of one forwarder's turns: the first of a series is logged, and that it does not end, once."""

    def __init__(self, log: structlog.stdlib.BoundLogger, *, stalled_s: float) -> None:
        self._log = log
        self._stalled_s = stalled_s
        self._count = 0
        self._first_at = self._last_at = float("-inf")
        self._is_stalled = False

    def record(self, problem: RfctlError) -> float:
        """Record a failure. Returns how long to wait, s."""
        now = time.monotonic()
        if now - self._last_at > _QUIET_S:
            self._count, self._first_at, self._is_stalled = 0, now, False
        self._last_at = now
        if not self._count and not isinstance(problem, StartedOverError):
            self._log.error("redis_unavailable", component="forwarder", problem=problem.fact)
        if now - self._first_at > self._stalled_s and not self._is_stalled:
            self._is_stalled = True
            self._log.error("sink_stalled", problem=problem.fact, next=problem.next or "rfctl stats")
        self._count += 1
        return min(_MAX_BACKOFF_S, 0.05 * 2.0 ** min(self._count, 6))
