"""One lane a phone: its messages are delivered one after another, lanes side by side.

A message that fails holds its phone in Redis, with everything that comes for it, until its next try; all other
phones go on. A message is acknowledged after the sink has taken it; what cannot be acknowledged (Redis is away,
the lease has run out) stays as it is, and comes again under the same id.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog

from rfctl.delivery.lease import Lease
from rfctl.delivery.outage import OutageDetector
from rfctl.delivery.target import RetryPolicy
from rfctl.errors import KeyTakenError, RedisCannotNowError, RedisUnreachableError, RfctlError
from rfctl.sinks.contract import DeliveryError, Sink
from rfctl.sinks.redis import RedisSink
from rfctl.store import DeliveryQueue, StreamEntry

_log = structlog.get_logger("delivery")
_DEEPEST = 8
"""More of one phone than this wait in Redis, so that one who writes a lot does not fill the memory."""


@dataclass(slots=True)
class _PhoneQueue:
    """One phone: what was read for it and not tried yet, and the task that works it off."""

    name: str
    entries: deque[StreamEntry] = field(default_factory=deque)
    task: asyncio.Task[None] | None = None


class LeaseLostError(RfctlError):
    """Another daemon may deliver now: what is on its way here stays unacknowledged, and comes again there."""


class PhoneQueues:
    """The lanes of one sink.

    `paused` stops them between two messages, and sets aside what they have; `ending` stops them too, and leaves that
    unacknowledged. `broken` is what a lane ended by, if by a bug.
    """

    def __init__(
        self, deliveries: DeliveryQueue, sink: Sink | RedisSink, policy: RetryPolicy, lease: Lease
    ) -> None:
        self._deliveries = deliveries
        self._sink = sink
        self._policy = policy
        self._lease = lease
        self._queues: dict[str, _PhoneQueue] = {}
        self._slots = asyncio.Semaphore(policy.concurrency)
        self._enqueueing = asyncio.Lock()
        self._freed = asyncio.Event()
        self.ending = False
        self._outage = OutageDetector()
        self._log = _log.bind(sink=deliveries.sink)
        self.paused = False
        self.pauses = 0
        """Counts our own pauses, and `pausing` those that are on their way to Redis: a look there may be an old one."""
        self.pausing = 0
        self.broken: BaseException | None = None

    def __len__(self) -> int:
        return len(self._queues)

    @property
    def full(self) -> bool:
        """Whether nothing should be read until some lane has ended."""
        return len(self._queues) >= 2 * self._policy.concurrency

    async def wait_for_slot(self, within_ms: float) -> None:
        """Wait until a lane ends, but no longer than `within_ms`."""
        self._freed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_ms / 1000):
                await self._freed.wait()

    def cancel_all(self) -> None:
        """Cut every lane off: what it had is not acknowledged."""
        for queue in self._queues.values():
            if queue.task is not None:
                queue.task.cancel()
        self._queues.clear()

    async def end(self, within_ms: float) -> None:
        """Start no further message; let those on their way arrive, for so long, and cut the rest off."""
        self.ending = True
        tasks = [queue.task for queue in self._queues.values() if queue.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=within_ms / 1000)
        self.cancel_all()

    # --- what comes in

    def start_due(self, name: str) -> None:
        """Start the lane of a held phone whose next try is due."""
        if name not in self._queues and not self.full:
            self._start(_PhoneQueue(name))

    async def enqueue(self, entries: Sequence[StreamEntry]) -> None:
        """Give each entry to its phone's lane, unless its phone is held: then it waits in Redis."""
        for entry in entries:
            if entry.fields is None:  # whose it was is unknown: its phone's lane finds it gone too
                await self._on_missing("", entry.id)
        there = [entry for entry in entries if entry.fields is not None]
        async with self._enqueueing:
            waits = await self._deliveries.defer(there)
            free = [entry for entry, waiting in zip(there, waits, strict=True) if not waiting]
            too_many = [entry for entry in free if not self._append(entry)]
            for name, ids in _by_name(too_many).items():
                await self._deliveries.schedule_retry(name, ids, wait_ms=0)

    def _append(self, entry: StreamEntry) -> bool:
        """Put it into its phone's lane; False when that is as deep as it may be."""
        queue = self._queues.get(entry.name)
        if queue is None:
            self._start(_PhoneQueue(entry.name, deque([entry])))
        elif len(queue.entries) < _DEEPEST:
            queue.entries.append(entry)
        else:
            return False
        return True

    async def _on_missing(self, name: str, entry_id: str) -> str:
        self._log.error("message_missing", id=entry_id, why="somebody deleted it from the output stream")
        following: str = await self._retry_while_leased(lambda: self._deliveries.acknowledge(name, entry_id))
        return following

    # --- one lane

    def _start(self, queue: _PhoneQueue) -> None:
        self._queues[queue.name] = queue
        queue.task = asyncio.create_task(self._work(queue))
        queue.task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._freed.set()
        if not task.cancelled():
            self.broken = task.exception() or self.broken

    async def _work(self, queue: _PhoneQueue) -> None:
        """Work a lane off; what cannot be settled stays unacknowledged, and comes again with the next lease."""
        try:
            following: str | None = ""
            if not queue.entries:
                following = await self._retry_while_leased(lambda: self._deliveries.first_due(queue.name))
            while (queue.entries or following) and not self.ending:
                async with self._slots:
                    if not await self._may_start(queue):
                        return
                    entry = queue.entries.popleft() if queue.entries else await self._fetch(str(following))
                    following = await self._deliver(queue, entry)
        except LeaseLostError:
            self._lease.expire()
        finally:
            if self._queues.get(queue.name) is queue:
                del self._queues[queue.name]

    async def _may_start(self, queue: _PhoneQueue) -> bool:
        """Say whether a lane that has waited for a slot may use it: much may have happened meanwhile."""
        if not self._lease.is_ours:
            raise LeaseLostError("the lease has run out")
        if self.ending:
            return False
        if self.paused:
            await self._hold(queue, [], 0)
            return False
        return True

    async def _fetch(self, entry_id: str) -> StreamEntry:
        entry: StreamEntry = await self._retry_while_leased(lambda: self._deliveries.fetch(entry_id))
        return entry

    async def _deliver(self, queue: _PhoneQueue, entry: StreamEntry) -> str | None:
        """Deliver one entry. Returns the id of the next that waits in Redis, "" if none does, None if its phone is held."""
        if entry.fields is None:
            return await self._on_missing(queue.name, entry.id)
        try:
            following = await self._try(entry)
        except DeliveryError as problem:
            return await self._on_failed(queue, entry, problem)
        except RfctlError:
            raise
        except asyncio.CancelledError:
            own = asyncio.current_task()
            if own is None or own.cancelling():
                raise
            return await self._on_failed(queue, entry, DeliveryError("the sink cancelled it"))
        except Exception as problem:
            self._log.exception("sink_crashed", id=entry.id)
            return await self._on_failed(queue, entry, DeliveryError(f"{type(problem).__name__}: {problem}"))
        await self._on_delivered(entry.name)
        return following

    async def _try(self, entry: StreamEntry) -> str:
        following: str
        try:
            delivery = entry.delivery(self._deliveries.instance_id)
        except (ValueError, msgspec.MsgspecError) as problem:
            raise DeliveryError(f"it cannot be read: {problem}", final=True) from None
        if isinstance(self._sink, RedisSink):
            push = self._sink.push(delivery, entry.fields or [])
            try:
                following = await self._retry_while_leased(
                    lambda: self._deliveries.write_and_acknowledge(entry, push)
                )
            except KeyTakenError as problem:
                raise DeliveryError(problem.fact) from None
        else:
            await self._sink.deliver(delivery)
            following = await self._retry_while_leased(
                lambda: self._deliveries.acknowledge(entry.name, entry.id)
            )
        return following

    async def _retry_while_leased(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Call Redis until it answers, as long as the lease is ours. Raises LeaseLostError."""
        while self._lease.is_ours:
            try:
                return await call()
            except (RedisUnreachableError, RedisCannotNowError):
                await asyncio.sleep(0.1)
        raise LeaseLostError("the lease has run out")

    async def _hold(
        self,
        queue: _PhoneQueue,
        first: list[StreamEntry],
        wait_ms: int,
        error: str = "",
        *,
        fixed: bool = False,
    ) -> None:
        """Hold a phone, with what its lane still has. Not while new entries are placed: they would overtake."""
        async with self._enqueueing:
            ids = [entry.id for entry in (*first, *queue.entries)]
            queue.entries.clear()
            if ids:
                attempts = first[0].attempts if first else 0
                await self._retry_while_leased(
                    lambda: self._deliveries.schedule_retry(
                        queue.name, ids, wait_ms=wait_ms, error=error, attempts=attempts, fixed=fixed
                    )
                )

    # --- what became of it

    async def _on_delivered(self, name: str) -> None:
        if self._outage.record_success(name):
            count = await self._retry_while_leased(lambda: self._deliveries.retry_now(fixed_too=False))
            self._log.info("sink_recovered", phones_tried_at_once=count, first=name)

    async def _on_failed(self, queue: _PhoneQueue, entry: StreamEntry, problem: DeliveryError) -> str | None:
        if problem.pause:
            await self._pause(problem)
            await self._hold(queue, [entry], 0, problem.fact)
            return None
        if problem.final or entry.attempts >= len(self._policy.retry_delays_ms):
            return await self._dead_letter(entry, problem)
        wait_ms = max(self._policy.retry_delays_ms[entry.attempts], problem.retry_after_ms)
        self._log.warning(
            "delivery_failed", id=entry.id, phone=entry.phone, attempts=entry.attempts + 1,
            problem=problem.fact, again_in_ms=wait_ms,
        )  # fmt: skip
        fixed = self._outage.record_failure(entry.name, receiver_set_wait=problem.retry_after_ms > 0)
        await self._hold(queue, [entry], wait_ms, problem.fact, fixed=fixed)
        return None

    async def _pause(self, problem: DeliveryError) -> None:
        self.paused = True
        self.pauses += 1
        self.pausing += 1
        self._log.error("sink_paused", problem=problem.fact, next=f"rfctl resume {self._deliveries.sink}")
        try:
            await self._retry_while_leased(lambda: self._deliveries.pause(problem.fact))
        finally:
            self.pausing -= 1

    async def _dead_letter(self, entry: StreamEntry, problem: DeliveryError) -> str:
        self._outage.record_dead_letter(entry.name)
        self._log.error(
            "message_dead_lettered", id=entry.id, phone=entry.phone, attempts=entry.attempts + 1,
            problem=problem.fact, next="rfctl dead list",
        )  # fmt: skip
        following: str = await self._retry_while_leased(
            lambda: self._deliveries.dead_letter(entry, problem.fact)
        )
        return following


def _by_name(entries: list[StreamEntry]) -> dict[str, list[str]]:
    ids: dict[str, list[str]] = {}
    for entry in entries:
        ids.setdefault(entry.name, []).append(entry.id)
    return ids
