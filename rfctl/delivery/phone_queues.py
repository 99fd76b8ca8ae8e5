"""The deliveries of one sink: a queue for each batch key. A queue goes in order; the queues go side by side.

After a failure the phone waits in Redis for its next attempt, with every later message of it. Other phones go on. A
message is acknowledged after the sink has taken it. If it cannot be acknowledged (Redis does not answer, the lease has
run out), it stays as it is, and comes again under the same id.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import structlog

from rfctl.delivery.attempt import (
    Attempt,
    DeadLettered,
    Delivered,
    Failed,
    Missing,
    Outcome,
    PauseRequested,
    attempt_delivery,
    judge_failure,
)
from rfctl.delivery.attempt_counts import AttemptCounts
from rfctl.delivery.attempt_slots import AttemptSlots
from rfctl.delivery.budget import SMALL_BYTES, ByteBudget
from rfctl.delivery.lease import LeaseLostError, retry_while_leased
from rfctl.delivery.outage import OutageDetector, Recovery
from rfctl.delivery.outcome_log import OutcomeLog
from rfctl.delivery.phone_queue import PhoneQueue, group_ids
from rfctl.delivery.shared_lock import SharedLock
from rfctl.delivery.state import Crashed, LeaseLost, Report, SinkState
from rfctl.delivery.target import RetryPolicy
from rfctl.errors import CredentialsRefusedError, GroupMissingError
from rfctl.sinks.contract import DeliveryError, Sink
from rfctl.sinks.redis import RedisSink
from rfctl.store import DeliveryQueue, LastAttempt, StreamEntry

_log = structlog.get_logger("delivery")
_T = TypeVar("_T")


class PhoneQueues:
    """The queues of one sink. They ask `read_state` before each start, and never change the state.

    `report` is awaited with what concerns every phone; it has changed the state before it waits for anything.
    """

    def __init__(
        self,
        deliveries: DeliveryQueue,
        sink: Sink | RedisSink,
        policy: RetryPolicy,
        read_state: Callable[[], SinkState],
        report: Callable[[Report], Awaitable[None]],
        budget: ByteBudget | None = None,
        attempts: AttemptCounts | None = None,
        attempt: Attempt = attempt_delivery,
    ) -> None:
        self._deliveries = deliveries
        self._policy = policy
        self._read_state = read_state
        self._report = report
        self._queues: dict[str, PhoneQueue] = {}
        self._slots = AttemptSlots(deliveries, sink, policy, read_state, attempts, attempt)
        self._enqueueing = SharedLock()
        self._has_room = asyncio.Event()
        self._budget = budget or ByteBudget()
        self._budget.call_when_free(self._note_room)
        self._outage = OutageDetector()
        self._recovery: Recovery | None = None
        self._log = _log.bind(sink=deliveries.sink)
        self._outcomes = OutcomeLog(self._log)

    def __len__(self) -> int:
        return len(self._queues)

    @property
    def is_full(self) -> bool:
        """Whether nothing should be read until a queue has ended."""
        return len(self._queues) >= 2 * self._policy.concurrency or self._budget.is_full

    async def wait_for_slot(self, within_ms: float) -> None:
        """Wait until a message or a queue ends, and there is room for more; but no longer than `within_ms`."""
        self._has_room.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_ms / 1000):
                await self._has_room.wait()

    def _note_room(self) -> None:
        if not self.is_full:
            self._has_room.set()

    async def wait_until_drained(self, within_ms: float) -> None:
        """Wait until every queue has ended, but no longer than `within_ms`, then cancel the others."""
        tasks = [queue.task for queue in self._queues.values() if queue.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=within_ms / 1000)
        self.cancel_all()

    def cancel_all(self) -> None:
        """Cancel every queue. Its entries stay unacknowledged."""
        for queue in self._queues.values():
            if queue.task is not None:
                queue.task.cancel()
        self._queues.clear()

    def start_due(self, batch_key: str) -> None:
        """Start the queue of a phone that waited in Redis, and whose next attempt is due."""
        if batch_key not in self._queues and not self.is_full:
            self._start(PhoneQueue(batch_key, self._budget))

    async def enqueue(self, entries: Sequence[StreamEntry]) -> None:
        """Append each entry to its phone's queue, or leave it in Redis if its phone waits there.

        Raises LeaseLostError and RfctlError; then some entries may be unacknowledged and in no queue.
        """
        for entry in entries:
            if entry.fields is None:  # its phone is unknown: the phone's own queue notices that it is missing
                await self._on_missing("", entry)
        complete = [entry for entry in entries if entry.fields is not None]
        async with self._enqueueing.alone():
            waits = await self._deliveries.defer(complete)
            startable = [entry for entry, is_deferred in zip(complete, waits, strict=True) if not is_deferred]
            surplus = [entry for entry in startable if not self._append(entry)]
            for batch_key, ids in group_ids(surplus).items():
                await self._deliveries.schedule_retry(batch_key, ids, wait_ms=0)

    def _append(self, entry: StreamEntry) -> bool:
        """Append an entry to its phone's queue. Returns False when that queue is as deep as it may be."""
        queue = self._queues.get(entry.batch_key)
        if queue is None:
            queue = PhoneQueue(entry.batch_key, self._budget)
            self._start(queue)
        return queue.append(entry)

    def _start(self, queue: PhoneQueue) -> None:
        self._queues[queue.batch_key] = queue
        queue.task = asyncio.create_task(self._work(queue))
        queue.task.add_done_callback(lambda _: queue.clear())  # it wakes `wait_for_slot`

    async def _work(self, queue: PhoneQueue) -> None:
        """Deliver until the queue is empty, or nothing may start any more."""
        try:
            await self._deliver_or_set_aside(queue)
        except LeaseLostError:
            await self._report(LeaseLost())
        except Exception as failure:
            await self._report(Crashed(failure))
        finally:
            if self._queues.get(queue.batch_key) is queue:
                del self._queues[queue.batch_key]

    async def _deliver_or_set_aside(self, queue: PhoneQueue) -> None:
        """Deliver; what fails for another reason than its receiver counts as an attempt, and holds up nobody else.

        Raises what concerns every phone: LeaseLostError, and what Redis refuses whatever the message.
        """
        try:
            await self._deliver_all(queue)
        except (LeaseLostError, GroupMissingError, CredentialsRefusedError):
            raise
        except Exception as failure:
            if queue.current is None:
                raise
            entry, problem = queue.current, DeliveryError(f"{type(failure).__name__}: {failure}")
            self._outcomes.write_queue_failed(entry, problem, failure)
            await self._store(queue, entry, judge_failure(entry.attempts, problem, self._policy))

    async def _deliver_all(self, queue: PhoneQueue) -> None:
        if not queue.entries:
            queue.following = await self._retry_while_leased(
                lambda: self._deliveries.find_first_due(queue.batch_key)
            )
        while queue.entries or self._read_state().may_fetch(queue.following):
            if self._read_state().draining:
                return
            entry = await self._take_next(queue)
            outcome = await self._retry_while_leased(lambda: self._slots.attempt(entry))  # noqa: B023 - awaited here
            if outcome is None:
                if self._read_state().paused and not self._read_state().draining:
                    await self._put_back(queue, 0)
                return
            queue.following = await self._store(queue, entry, outcome)

    async def _take_next(self, queue: PhoneQueue) -> StreamEntry:
        """Return the next entry: one that was read, or the one that waits in Redis."""
        if queue.entries:
            return queue.begin()
        async with self._budget.reserving():
            small = await self._retry_while_leased(
                lambda: self._deliveries.fetch_within(SMALL_BYTES, queue.following, queue.batch_key)
            )
            if small is not None:
                return queue.begin(small)
        async with self._budget.reading():
            entry = await self._retry_while_leased(
                lambda: self._deliveries.fetch(queue.following, queue.batch_key)
            )
            return queue.begin(entry)

    async def _store(self, queue: PhoneQueue, entry: StreamEntry, outcome: Outcome) -> str:
        """Store the outcome of an attempt.

        Returns the id of the phone's next entry in Redis, "" if none waits there or the phone has to wait.
        """
        following = ""
        match outcome:
            case Delivered():
                following = await self._on_delivered(queue, entry, outcome)
            case Failed():
                await self._on_failed(queue, entry, outcome)
            case PauseRequested(problem):
                await self._report(outcome)
                await self._put_back(queue, 0, problem.fact)
            case DeadLettered(problem, took_ms):
                following = await self._on_dead_lettered(entry, problem, took_ms)
            case Missing():
                following = await self._on_missing(queue.batch_key, entry)
        queue.finish(entry)
        return following

    async def _on_delivered(self, queue: PhoneQueue, entry: StreamEntry, outcome: Delivered) -> str:
        if (following := outcome.following) is None:
            last = LastAttempt.at(entry, outcome.took_ms)
            following = await self._retry_while_leased(
                lambda: self._deliveries.acknowledge(queue.batch_key, entry.id, last)
            )
        # From here on it is delivered: what fails now must not deliver it again.
        queue.finish(entry)
        self._recovery = self._outage.record_success(entry.batch_key) or self._recovery
        if recovery := self._recovery:
            count = await self._retry_while_leased(lambda: self._deliveries.retry_now(fixed_too=False))
            self._recovery = None
            self._log.info("sink_recovered", phones_tried_at_once=count, first=recovery.first)
        return following

    async def _on_failed(self, queue: PhoneQueue, entry: StreamEntry, outcome: Failed) -> None:
        problem = outcome.problem
        self._outcomes.write_failed(entry, outcome)
        fixed = self._outage.record_failure(entry.batch_key, receiver_set_wait=problem.retry_after_ms > 0)
        await self._put_back(queue, outcome.wait_ms, problem.fact, fixed=fixed)
        self._start_in_time(queue.batch_key, outcome.wait_ms)

    def _start_in_time(self, batch_key: str, wait_ms: int) -> None:
        """Start a phone's next attempt in time, while the forwarder waits for new messages; it sees later ones."""
        if wait_ms < self._policy.max_sleep_ms:
            asyncio.get_running_loop().call_later((wait_ms + 1) / 1000, self._start_if_allowed, batch_key)

    def _start_if_allowed(self, batch_key: str) -> None:
        if self._read_state().may_start:
            self.start_due(batch_key)

    async def _on_dead_lettered(self, entry: StreamEntry, problem: DeliveryError, took_ms: int | None) -> str:
        self._outcomes.write_dead_lettered(entry, problem)
        self._outage.record_dead_letter(entry.batch_key)
        return await self._retry_while_leased(
            lambda: self._deliveries.dead_letter(entry, problem.fact, took_ms)
        )

    async def _on_missing(self, batch_key: str, entry: StreamEntry) -> str:
        self._outcomes.write_missing(entry.id)
        return await self._retry_while_leased(lambda: self._deliveries.acknowledge_missing(batch_key, entry))

    async def _put_back(
        self, queue: PhoneQueue, wait_ms: int, error: str = "", *, fixed: bool = False
    ) -> None:
        """Let a phone wait in Redis, with all entries of its queue; the entry at hand comes first."""
        async with self._enqueueing.together():  # new entries would overtake these
            if entries := queue.list_unfinished():
                await self._retry_while_leased(
                    lambda: self._deliveries.schedule_retry(
                        queue.batch_key, [entry.id for entry in entries],
                        wait_ms=wait_ms, error=error, attempts=entries[0].attempts, fixed=fixed,
                    )
                )  # fmt: skip
            queue.clear()

    async def _retry_while_leased(self, call: Callable[[], Awaitable[_T]]) -> _T:
        return await retry_while_leased(lambda: self._read_state().leased, call)
