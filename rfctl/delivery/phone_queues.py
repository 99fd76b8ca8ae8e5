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
from rfctl.delivery.outage import Outage
from rfctl.delivery.retry_policy import Pace
from rfctl.errors import KeyTakenError, RedisCannotNowError, RedisUnreachableError, RfctlError
from rfctl.sinks.contract import DeliveryError, Sink
from rfctl.sinks.redis import Inside
from rfctl.store.deliveries import Deliveries, Entry

_log = structlog.get_logger("forwarder")
_DEEPEST = 8
"""More of one phone than this wait in Redis, so that one who writes a lot does not fill the memory."""


@dataclass(slots=True)
class _Lane:
    """One phone: what was read for it and not tried yet, and the task that works it off."""

    name: str
    entries: deque[Entry] = field(default_factory=deque)
    task: asyncio.Task[None] | None = None


class LeaseLostError(RfctlError):
    """Another daemon may deliver now: what is on its way here stays unacknowledged, and comes again there."""


class Lanes:
    """The lanes of one sink.

    `paused` stops them between two messages, and sets aside what they have; `ending` stops them too, and leaves that
    unacknowledged. `broken` is what a lane ended by, if by a bug.
    """

    def __init__(self, deliveries: Deliveries, sink: Sink | Inside, pace: Pace, lease: Lease) -> None:
        self._deliveries = deliveries
        self._sink = sink
        self._pace = pace
        self._lease = lease
        self._lanes: dict[str, _Lane] = {}
        self._slots = asyncio.Semaphore(pace.parallel)
        self._placing = asyncio.Lock()
        self._freed = asyncio.Event()
        self.ending = False
        self._outage = Outage()
        self._log = _log.bind(sink=deliveries.sink)
        self.paused = False
        self.pauses = 0
        """Counts our own pauses, and `pausing` those that are on their way to Redis: a look there may be an old one."""
        self.pausing = 0
        self.broken: BaseException | None = None

    def __len__(self) -> int:
        return len(self._lanes)

    @property
    def full(self) -> bool:
        """Whether nothing should be read until some lane has ended."""
        return len(self._lanes) >= 2 * self._pace.parallel

    async def room(self, within_ms: float) -> None:
        """Wait until a lane ends, but no longer than `within_ms`."""
        self._freed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_ms / 1000):
                await self._freed.wait()

    def drop(self) -> None:
        """Cut every lane off: what it had is not acknowledged."""
        for lane in self._lanes.values():
            if lane.task is not None:
                lane.task.cancel()
        self._lanes.clear()

    async def end(self, within_ms: float) -> None:
        """Start no further message; let those on their way arrive, for so long, and cut the rest off."""
        self.ending = True
        tasks = [lane.task for lane in self._lanes.values() if lane.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=within_ms / 1000)
        self.drop()

    # --- what comes in

    def go_on(self, name: str) -> None:
        """Start the lane of a held phone whose next try is due."""
        if name not in self._lanes and not self.full:
            self._start(_Lane(name))

    async def place(self, entries: Sequence[Entry]) -> None:
        """Give each entry to its phone's lane, unless its phone is held: then it waits in Redis."""
        for entry in entries:
            if entry.fields is None:  # whose it was is unknown: its phone's lane finds it gone too
                await self._gone("", entry.id)
        there = [entry for entry in entries if entry.fields is not None]
        async with self._placing:
            waits = await self._deliveries.park(there)
            free = [entry for entry, waiting in zip(there, waits, strict=True) if not waiting]
            too_many = [entry for entry in free if not self._line_up(entry)]
            for name, ids in _by_name(too_many).items():
                await self._deliveries.hold(name, ids, wait_ms=0)

    def _line_up(self, entry: Entry) -> bool:
        """Put it into its phone's lane; False when that is as deep as it may be."""
        lane = self._lanes.get(entry.name)
        if lane is None:
            self._start(_Lane(entry.name, deque([entry])))
        elif len(lane.entries) < _DEEPEST:
            lane.entries.append(entry)
        else:
            return False
        return True

    async def _gone(self, name: str, entry_id: str) -> str:
        self._log.error("message_gone", id=entry_id, why="somebody deleted it from the output stream")
        following: str = await self._surely(lambda: self._deliveries.settle(name, entry_id))
        return following

    # --- one lane

    def _start(self, lane: _Lane) -> None:
        self._lanes[lane.name] = lane
        lane.task = asyncio.create_task(self._work(lane))
        lane.task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._freed.set()
        if not task.cancelled():
            self.broken = task.exception() or self.broken

    async def _work(self, lane: _Lane) -> None:
        """Work a lane off; what cannot be settled stays unacknowledged, and comes again with the next lease."""
        try:
            following: str | None = ""
            if not lane.entries:
                following = await self._surely(lambda: self._deliveries.first_due(lane.name))
            while (lane.entries or following) and not self.ending:
                async with self._slots:
                    if not await self._may_start(lane):
                        return
                    entry = lane.entries.popleft() if lane.entries else await self._fetch(str(following))
                    following = await self._deliver(lane, entry)
        except LeaseLostError:
            self._lease.lose()
        finally:
            if self._lanes.get(lane.name) is lane:
                del self._lanes[lane.name]

    async def _may_start(self, lane: _Lane) -> bool:
        """Say whether a lane that has waited for a slot may use it: much may have happened meanwhile."""
        if not self._lease.is_ours:
            raise LeaseLostError("the lease has run out")
        if self.ending:
            return False
        if self.paused:
            await self._hold(lane, [], 0)
            return False
        return True

    async def _fetch(self, entry_id: str) -> Entry:
        entry: Entry = await self._surely(lambda: self._deliveries.fetch(entry_id))
        return entry

    async def _deliver(self, lane: _Lane, entry: Entry) -> str | None:
        """Deliver one entry. Returns the id of the next that waits in Redis, "" if none does, None if its phone is held."""
        if entry.fields is None:
            return await self._gone(lane.name, entry.id)
        try:
            following = await self._try(entry)
        except DeliveryError as problem:
            return await self._failed(lane, entry, problem)
        except RfctlError:
            raise
        except asyncio.CancelledError:
            own = asyncio.current_task()
            if own is None or own.cancelling():
                raise
            return await self._failed(lane, entry, DeliveryError("the sink cancelled it"))
        except Exception as problem:
            self._log.exception("sink_bug", id=entry.id)
            return await self._failed(lane, entry, DeliveryError(f"{type(problem).__name__}: {problem}"))
        await self._worked(entry.name)
        return following

    async def _try(self, entry: Entry) -> str:
        following: str
        try:
            delivery = entry.delivery(self._deliveries.origin)
        except (ValueError, msgspec.MsgspecError) as problem:
            raise DeliveryError(f"it cannot be read: {problem}", final=True) from None
        if isinstance(self._sink, Inside):
            push = self._sink.push(delivery, entry.fields or [])
            try:
                following = await self._surely(lambda: self._deliveries.push(entry, push))
            except KeyTakenError as problem:
                raise DeliveryError(problem.fact) from None
        else:
            await self._sink.deliver(delivery)
            following = await self._surely(lambda: self._deliveries.settle(entry.name, entry.id))
        return following

    async def _surely(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Call Redis until it answers, as long as the lease is ours. Raises LeaseLostError."""
        while self._lease.is_ours:
            try:
                return await call()
            except (RedisUnreachableError, RedisCannotNowError):
                await asyncio.sleep(0.1)
        raise LeaseLostError("the lease has run out")

    async def _hold(
        self, lane: _Lane, first: list[Entry], wait_ms: int, error: str = "", *, kept: bool = False
    ) -> None:
        """Hold a phone, with what its lane still has. Not while new entries are placed: they would overtake."""
        async with self._placing:
            ids = [entry.id for entry in (*first, *lane.entries)]
            lane.entries.clear()
            if ids:
                tries = first[0].tries if first else 0
                await self._surely(
                    lambda: self._deliveries.hold(
                        lane.name, ids, wait_ms=wait_ms, error=error, tries=tries, kept=kept
                    )
                )

    # --- what became of it

    async def _worked(self, name: str) -> None:
        if self._outage.served(name):
            count = await self._surely(lambda: self._deliveries.pull_in(kept_too=False))
            self._log.info("receiver_back", phones_tried_at_once=count, first=name)

    async def _failed(self, lane: _Lane, entry: Entry, problem: DeliveryError) -> str | None:
        if problem.pause:
            await self._pause(problem)
            await self._hold(lane, [entry], 0, problem.fact)
            return None
        if problem.final or entry.tries >= len(self._pace.retry_ms):
            return await self._bury(entry, problem)
        wait_ms = max(self._pace.retry_ms[entry.tries], problem.retry_after_ms)
        self._log.warning(
            "delivery_failed", id=entry.id, phone=entry.phone, tries=entry.tries + 1,
            problem=problem.fact, again_in_ms=wait_ms,
        )  # fmt: skip
        kept = self._outage.failed(entry.name, told_to_wait=problem.retry_after_ms > 0)
        await self._hold(lane, [entry], wait_ms, problem.fact, kept=kept)
        return None

    async def _pause(self, problem: DeliveryError) -> None:
        self.paused = True
        self.pauses += 1
        self.pausing += 1
        self._log.error("sink_paused", problem=problem.fact, next=f"rfctl resume {self._deliveries.sink}")
        try:
            await self._surely(lambda: self._deliveries.pause(problem.fact))
        finally:
            self.pausing -= 1

    async def _bury(self, entry: Entry, problem: DeliveryError) -> str:
        self._outage.given_up(entry.name)
        self._log.error(
            "message_dead", id=entry.id, phone=entry.phone, tries=entry.tries + 1,
            problem=problem.fact, next="rfctl dead list",
        )  # fmt: skip
        following: str = await self._surely(lambda: self._deliveries.bury(entry, problem.fact))
        return following


def _by_name(entries: list[Entry]) -> dict[str, list[str]]:
    ids: dict[str, list[str]] = {}
    for entry in entries:
        ids.setdefault(entry.name, []).append(entry.id)
    return ids
