"""The deliveries of one sink: a queue for each phone. A phone's messages go one after another, phones side by side.

After a failure the phone waits in Redis for its next attempt, with every later message of it. Other phones go on. A
message is acknowledged after the sink has taken it. If it cannot be acknowledged (Redis does not answer, the lease has
run out), it stays as it is, and comes again under the same id.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from rfctl.delivery.attempt import (
    DeadLettered,
    Delivered,
    Failed,
    Missing,
    PauseRequested,
    SinkCrashedError,
    attempt_delivery,
)
from rfctl.delivery.lease import LeaseLostError, retry_while_leased
from rfctl.delivery.outage import OutageDetector
from rfctl.delivery.state import Crashed, LeaseLost, Report, SinkState
from rfctl.delivery.target import RetryPolicy
from rfctl.errors import KeyTakenError, RfctlError
from rfctl.model.delivery import Delivery
from rfctl.sinks.contract import DeliveryError, Sink
from rfctl.sinks.redis import RedisSink
from rfctl.store import DeliveryQueue, StreamEntry

_log = structlog.get_logger("delivery")
_MAX_DEPTH = 8
"""Later messages of a phone wait in Redis, so that nobody fills the memory."""
_T = TypeVar("_T")


@dataclass(slots=True)
class _PhoneQueue:
    """One phone: its entries that were read and not yet attempted, and the task that delivers them."""

    batch_key: str
    entries: deque[StreamEntry] = field(default_factory=deque)
    task: asyncio.Task[None] | None = None


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
    ) -> None:
        self._deliveries = deliveries
        self._sink = sink
        self._policy = policy
        self._read_state = read_state
        self._report = report
        self._queues: dict[str, _PhoneQueue] = {}
        self._slots = asyncio.Semaphore(policy.concurrency)
        self._enqueueing = asyncio.Lock()
        self._has_ended = asyncio.Event()
        self._outage = OutageDetector()
        self._log = _log.bind(sink=deliveries.sink)

    def __len__(self) -> int:
        return len(self._queues)

    @property
    def is_full(self) -> bool:
        """Whether nothing should be read until a queue has ended."""
        return len(self._queues) >= 2 * self._policy.concurrency

    async def wait_for_slot(self, within_ms: float) -> None:
        """Wait until a queue ends, but no longer than `within_ms`."""
        self._has_ended.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_ms / 1000):
                await self._has_ended.wait()

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
            self._start(_PhoneQueue(batch_key))

    async def enqueue(self, entries: Sequence[StreamEntry]) -> None:
        """Append each entry to its phone's queue, or leave it in Redis if its phone waits there.

        Raises LeaseLostError and RfctlError; then some entries may be unacknowledged and in no queue.
        """
        for entry in entries:
            if entry.fields is None:  # its phone is unknown: the phone's own queue notices that it is missing
                await self._on_missing("", entry.id)
        complete = [entry for entry in entries if entry.fields is not None]
        async with self._enqueueing:
            waits = await self._deliveries.defer(complete)
            startable = [entry for entry, is_deferred in zip(complete, waits, strict=True) if not is_deferred]
            surplus = [entry for entry in startable if not self._append(entry)]
            for batch_key, ids in _group_ids(surplus).items():
                await self._deliveries.schedule_retry(batch_key, ids, wait_ms=0)

    def _append(self, entry: StreamEntry) -> bool:
        """Append an entry to its phone's queue. Returns False when that queue is as deep as it may be."""
        queue = self._queues.get(entry.batch_key)
        if queue is None:
            self._start(_PhoneQueue(entry.batch_key, deque([entry])))
        elif len(queue.entries) < _MAX_DEPTH:
            queue.entries.append(entry)
        else:
            return False
        return True

    def _start(self, queue: _PhoneQueue) -> None:
        self._queues[queue.batch_key] = queue
        queue.task = asyncio.create_task(self._work(queue))
        queue.task.add_done_callback(lambda _: self._has_ended.set())

    async def _work(self, queue: _PhoneQueue) -> None:
        """Deliver until the queue is empty, or nothing may start any more."""
        try:
            await self._deliver_all(queue)
        except LeaseLostError:
            await self._report(LeaseLost())
        except Exception as failure:
            await self._report(Crashed(failure))
        finally:
            if self._queues.get(queue.batch_key) is queue:
                del self._queues[queue.batch_key]

    async def _deliver_all(self, queue: _PhoneQueue) -> None:
        following: str | None = ""
        if not queue.entries:
            following = await self._retry_while_leased(
                lambda: self._deliveries.find_first_due(queue.batch_key)
            )
        while (queue.entries or following) and not self._read_state().draining:
            async with self._slots:
                if not await self._may_start(queue):
                    return
                entry = queue.entries.popleft() if queue.entries else await self._fetch(following or "")
                following = await self._deliver(queue, entry)

    async def _may_start(self, queue: _PhoneQueue) -> bool:
        """Say whether the next delivery may start. A queue waits long for its slot: the state may have changed."""
        state = self._read_state()
        if not state.leased:
            raise LeaseLostError
        if state.paused and not state.draining:
            await self._put_back(queue, [], 0)
        return state.may_start

    async def _fetch(self, entry_id: str) -> StreamEntry:
        return await self._retry_while_leased(lambda: self._deliveries.fetch(entry_id))

    async def _deliver(self, queue: _PhoneQueue, entry: StreamEntry) -> str | None:
        """Attempt one delivery, and store its outcome.

        Returns the id of the phone's next entry in Redis, "" if none waits there, None if the phone has to wait.
        """
        outcome = await attempt_delivery(
            lambda delivery: self._send(entry, delivery), entry, self._policy, self._deliveries.instance_id
        )
        match outcome:
            case Delivered(following):
                return await self._on_delivered(entry, following)
            case Failed():
                await self._on_failed(queue, entry, outcome)
            case PauseRequested(problem):
                await self._report(outcome)
                await self._put_back(queue, [entry], 0, problem.fact)
            case DeadLettered(problem):
                return await self._on_dead_lettered(entry, problem)
            case Missing():
                return await self._on_missing(queue.batch_key, entry.id)
        return None

    async def _send(self, entry: StreamEntry, delivery: Delivery) -> str | None:
        if isinstance(self._sink, RedisSink):
            write = self._sink.build_write(delivery, entry.fields or [])
            try:
                return await self._retry_while_leased(
                    lambda: self._deliveries.write_and_acknowledge(entry, write)
                )
            except KeyTakenError as problem:
                raise DeliveryError(problem.fact) from None
        try:
            await self._sink.deliver(delivery)
        except DeliveryError:
            raise
        except RfctlError as problem:  # of a sink it says nothing about our Redis
            raise DeliveryError(problem.fact) from problem
        return None

    async def _on_delivered(self, entry: StreamEntry, following: str | None) -> str:
        if following is None:
            following = await self._retry_while_leased(
                lambda: self._deliveries.acknowledge(entry.batch_key, entry.id)
            )
        if recovery := self._outage.record_success(entry.batch_key):
            count = await self._retry_while_leased(lambda: self._deliveries.retry_now(fixed_too=False))
            self._log.info("sink_recovered", phones_tried_at_once=count, first=recovery.first)
        return following

    async def _on_failed(self, queue: _PhoneQueue, entry: StreamEntry, outcome: Failed) -> None:
        problem = outcome.problem
        self._log_crash(entry, problem)
        self._log.warning(
            "delivery_failed", id=entry.id, phone=entry.phone, attempts=entry.attempts + 1,
            problem=problem.fact, again_in_ms=outcome.wait_ms,
        )  # fmt: skip
        fixed = self._outage.record_failure(entry.batch_key, receiver_set_wait=problem.retry_after_ms > 0)
        await self._put_back(queue, [entry], outcome.wait_ms, problem.fact, fixed=fixed)

    async def _on_dead_lettered(self, entry: StreamEntry, problem: DeliveryError) -> str:
        self._log_crash(entry, problem)
        self._outage.record_dead_letter(entry.batch_key)
        self._log.error(
            "message_dead_lettered", id=entry.id, phone=entry.phone, attempts=entry.attempts + 1,
            problem=problem.fact, next="rfctl dead list",
        )  # fmt: skip
        return await self._retry_while_leased(lambda: self._deliveries.dead_letter(entry, problem.fact))

    async def _on_missing(self, batch_key: str, entry_id: str) -> str:
        self._log.error("message_missing", id=entry_id, why="somebody deleted it from the output stream")
        return await self._retry_while_leased(lambda: self._deliveries.acknowledge(batch_key, entry_id))

    def _log_crash(self, entry: StreamEntry, problem: DeliveryError) -> None:
        if isinstance(problem, SinkCrashedError):
            self._log.error("sink_crashed", id=entry.id, problem=problem.fact, exc_info=problem.__cause__)

    async def _put_back(
        self,
        queue: _PhoneQueue,
        attempted: list[StreamEntry],
        wait_ms: int,
        error: str = "",
        *,
        fixed: bool = False,
    ) -> None:
        """Let a phone wait in Redis, with all entries of its queue; the entry that was attempted comes first."""
        async with self._enqueueing:  # new entries would overtake these
            ids = [entry.id for entry in (*attempted, *queue.entries)]
            queue.entries.clear()
            if ids:
                attempts = attempted[0].attempts if attempted else 0
                await self._retry_while_leased(
                    lambda: self._deliveries.schedule_retry(
                        queue.batch_key, ids, wait_ms=wait_ms, error=error, attempts=attempts, fixed=fixed
                    )
                )

    async def _retry_while_leased(self, call: Callable[[], Awaitable[_T]]) -> _T:
        return await retry_while_leased(lambda: self._read_state().leased, call)


def _group_ids(entries: Sequence[StreamEntry]) -> dict[str, list[str]]:
    ids: dict[str, list[str]] = {}
    for entry in entries:
        ids.setdefault(entry.batch_key, []).append(entry.id)
    return ids
