"""The loop that delivers: output stream → one sink. `step()` is one turn and can be called alone.

One daemon at a time delivers for a sink, by a lease in Redis; the others stand by. Each phone has a lane: its
messages go one after another, lanes side by side. A message that fails is tried again by a schedule, and while
it waits its phone is held in Redis, with everything that comes for it; all other phones go on. A message is
acknowledged after the sink has taken it, so a crash in between delivers it again, under the same id.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import structlog

from rfctl.deliveries import Deliveries, Entry
from rfctl.errors import KeyTakenError, RedisCannotNowError, RedisUnreachableError, RfctlError
from rfctl.pace import Pace
from rfctl.sinks.delivery import DeliveryError, Sink
from rfctl.sinks.inside import Inside
from rfctl.waiting import pause

_log = structlog.get_logger("forwarder")
_DOWN_PHONES = 3
"""So many phones failed one after another, and none was served: the receiver itself is down."""
_DEEPEST_LANE = 8
"""More of one phone than this wait in Redis, so that one who writes a lot does not fill the memory."""


@dataclass(slots=True)
class _Lane:
    """One phone: what was read for it and not tried yet, and the task that works it off."""

    name: str
    entries: deque[Entry] = field(default_factory=deque)
    task: asyncio.Task[None] | None = None


class LeaseLostError(RfctlError):
    """Another daemon may deliver now: what is on its way here stays unacknowledged, and comes again there."""


class Forwarder:
    """Delivers what one shard's output stream has for one sink."""

    def __init__(self, deliveries: Deliveries, sink: Sink | Inside, pace: Pace, who: str) -> None:
        self._deliveries = deliveries
        self._sink = sink
        self._pace = pace
        self._who = who
        self._lanes: dict[str, _Lane] = {}
        self._slots = asyncio.Semaphore(pace.parallel)
        self._freed = asyncio.Event()
        self._ours_until = 0.0
        self._recovering: str | None = None
        self._paused = False
        self._pauses = 0
        self._stopping = False
        self._failing: set[str] = set()
        self._broken: BaseException | None = None
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
                        self._log.error("forwarder_waits", problem=problem.fact)
                    failures += 1
                    await pause(stopping, min(2.0, 0.05 * 2 ** min(failures, 6)))
        finally:
            await self._finish()

    async def step(self) -> None:
        """Take one turn: keep the lease, start what is due, read what is new and start it. At most about `check_ms`."""
        if self._broken is not None:
            problem, self._broken, self._ours_until = self._broken, None, 0.0
            raise RfctlError(f"a lane broke: {problem!r}")  # what it had comes again with the next lease
        if not await self._keep_lease():
            await self._stand_by()
            return
        before = self._pauses
        said = await self._deliveries.paused()
        self._paused = said or self._pauses != before  # a lane may have been told while Redis was asked
        if self._paused:
            await asyncio.sleep(self._pace.check_ms / 1000)
            return
        wait_ms = self._pace.check_ms if self._recovering is not None else await self._start_due()
        if len(self._lanes) >= 2 * self._pace.parallel:
            await self._room(wait_ms)
        elif self._recovering is not None:
            await self._recover()
        else:
            await self._place(await self._deliveries.unread(2 * self._pace.parallel, wait_ms))

    async def settle(self) -> None:
        """Wait until no lane works any more."""
        while tasks := [lane.task for lane in self._lanes.values() if lane.task is not None]:
            await asyncio.wait(tasks)

    # --- the right to deliver

    async def _keep_lease(self) -> bool:
        asked_at = time.monotonic()
        ours = await self._deliveries.lease(self._who, self._pace.lease_ms)
        if ours:
            if not self._is_ours():
                self._drop_lanes()
                await self._deliveries.open()
                self._recovering = "0-0"
            self._ours_until = asked_at + self._pace.lease_ms / 1000
        return ours

    def _is_ours(self) -> bool:
        return time.monotonic() < self._ours_until

    async def _stand_by(self) -> None:
        self._ours_until = 0.0
        self._drop_lanes()
        await asyncio.sleep(self._pace.check_ms / 1000)

    def _drop_lanes(self) -> None:
        for lane in self._lanes.values():
            if lane.task is not None:
                lane.task.cancel()
        self._lanes.clear()

    async def _finish(self) -> None:
        self._stopping = True
        tasks = [lane.task for lane in self._lanes.values() if lane.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=self._pace.finish_ms / 1000)
        self._drop_lanes()
        with contextlib.suppress(RfctlError):
            await self._deliveries.lease(self._who, 0)

    # --- what comes in

    async def _recover(self) -> None:
        """Take up what the last one had read and not acknowledged, page by page, before anything new."""
        entries = await self._deliveries.unacknowledged(self._recovering or "0-0", 2 * self._pace.parallel)
        self._recovering = entries[-1].id if entries else None
        await self._place(entries)

    async def _start_due(self) -> int:
        """Start the phones whose next try is due. Returns how long the turn may wait for something new, ms."""
        names, next_ms = await self._deliveries.due(2 * self._pace.parallel + len(self._lanes))
        for name in names:
            if name not in self._lanes and len(self._lanes) < 2 * self._pace.parallel:
                self._start(_Lane(name))
        return self._pace.check_ms if next_ms is None else max(1, min(self._pace.check_ms, next_ms))

    async def _place(self, entries: list[Entry]) -> None:
        """Give each entry to its phone's lane, unless its phone is held: then it waits in Redis."""
        gone = [entry for entry in entries if entry.fields is None]
        for entry in gone:
            await self._gone(entry)
        there = [entry for entry in entries if entry.fields is not None]
        for entry, waits in zip(there, await self._deliveries.park(there), strict=True):
            if not waits:
                await self._line_up(entry)

    async def _line_up(self, entry: Entry) -> None:
        lane = self._lanes.get(entry.name)
        if lane is None:
            self._start(_Lane(entry.name, deque([entry])))
        elif len(lane.entries) < _DEEPEST_LANE:
            lane.entries.append(entry)
        else:
            await self._deliveries.hold(entry.name, [entry.id], wait_ms=0)

    async def _gone(self, entry: Entry) -> str:
        self._log.error("message_gone", id=entry.id, why="somebody deleted it from the output stream")
        return await self._deliveries.settle(entry)

    async def _room(self, wait_ms: int) -> None:
        self._freed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_ms / 1000):
                await self._freed.wait()

    # --- lanes

    def _start(self, lane: _Lane) -> None:
        self._lanes[lane.name] = lane
        lane.task = asyncio.create_task(self._work(lane))
        lane.task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._freed.set()
        if not task.cancelled():
            self._broken = task.exception() or self._broken

    async def _work(self, lane: _Lane) -> None:
        """Work a lane off; what cannot be settled stays unacknowledged, and comes again with the next lease."""
        try:
            following: str | None = ""
            if not lane.entries:
                following = await self._surely(lambda: self._deliveries.first_waiting(lane.name))
            while (lane.entries or following) and not self._stopping:
                if self._paused:
                    await self._set_aside(lane)
                    return
                entry = lane.entries.popleft() if lane.entries else await self._fetch(str(following))
                following = await self._deliver(lane, entry)
        except LeaseLostError:
            self._ours_until = 0.0
        finally:
            if self._lanes.get(lane.name) is lane:
                del self._lanes[lane.name]

    async def _fetch(self, entry_id: str) -> Entry:
        entry: Entry = await self._surely(lambda: self._deliveries.fetch(entry_id))
        return entry

    async def _set_aside(self, lane: _Lane) -> None:
        while lane.entries:
            ids = [entry.id for entry in lane.entries]
            lane.entries.clear()
            await self._surely(lambda ids=ids: self._deliveries.hold(lane.name, ids, wait_ms=0))  # type: ignore[misc]

    async def _deliver(self, lane: _Lane, entry: Entry) -> str | None:
        """Deliver one entry. Returns the id of the next that waits in Redis, "" if none does, None if its phone is held."""
        if entry.fields is None:
            return await self._gone(entry)
        async with self._slots:
            try:
                following = await self._try(entry)
            except DeliveryError as problem:
                return await self._failed(lane, entry, problem)
            except RfctlError:
                raise
            except Exception as problem:
                self._log.exception("sink_bug", id=entry.id)
                return await self._failed(lane, entry, DeliveryError(f"{type(problem).__name__}: {problem}"))
        await self._worked(entry.name)
        return following

    async def _try(self, entry: Entry) -> str:
        following: str
        if isinstance(self._sink, Inside):
            push = self._sink.push(entry.delivery(), entry.fields or [])
            try:
                following = await self._surely(lambda: self._deliveries.push(entry, push))
            except KeyTakenError as problem:
                raise DeliveryError(problem.fact) from None
        else:
            await self._sink.deliver(entry.delivery())
            following = await self._surely(lambda: self._deliveries.settle(entry))
        return following

    async def _surely(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Call Redis until it answers, as long as the lease is ours. Raises LeaseLostError."""
        while self._is_ours():
            try:
                return await call()
            except (RedisUnreachableError, RedisCannotNowError):
                await asyncio.sleep(0.1)
        raise LeaseLostError("the lease has run out")

    # --- what became of it

    async def _worked(self, name: str) -> None:
        was_down = len(self._failing) >= _DOWN_PHONES
        self._failing.clear()
        if was_down:
            count = await self._deliveries.pull_in()
            self._log.info("receiver_back", phones_tried_at_once=count, first=name)

    async def _failed(self, lane: _Lane, entry: Entry, problem: DeliveryError) -> str | None:
        self._failing.add(entry.name)
        if problem.pause:
            await self._pause(problem)
        elif problem.final or entry.tries >= len(self._pace.retry_ms):
            return await self._bury(entry, problem)
        wait_ms = 0 if problem.pause else max(self._pace.retry_ms[entry.tries], problem.retry_after_ms)
        self._log.warning(
            "delivery_failed", id=entry.id, phone=entry.merged.phone, tries=entry.tries + 1,
            problem=problem.fact, again_in_ms=wait_ms,
        )  # fmt: skip
        ids = [entry.id, *(one.id for one in lane.entries)]
        lane.entries.clear()
        await self._surely(
            lambda: self._deliveries.hold(entry.name, ids, wait_ms=wait_ms, error=problem.fact)
        )
        late = list(lane.entries)  # came while the phone was being held
        lane.entries.clear()
        await self._surely(lambda: self._deliveries.park(late))
        return None

    async def _pause(self, problem: DeliveryError) -> None:
        self._paused = True
        self._pauses += 1
        self._log.error("sink_paused", problem=problem.fact, next=f"rfctl resume {self._deliveries.sink}")
        await self._surely(lambda: self._deliveries.pause(problem.fact))
        self._pauses += 1

    async def _bury(self, entry: Entry, problem: DeliveryError) -> str:
        self._log.error(
            "message_dead", id=entry.id, phone=entry.merged.phone, tries=entry.tries + 1,
            problem=problem.fact, next="rfctl dead list",
        )  # fmt: skip
        following: str = await self._surely(lambda: self._deliveries.bury(entry, problem.fact))
        return following
