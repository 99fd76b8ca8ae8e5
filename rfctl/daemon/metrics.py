"""The page that Prometheus scrapes: what this daemon has counted, and what Redis has.

Both are read when somebody asks, so a daemon that nobody scrapes does nothing for it. One reading of Redis serves all who
ask within a second. While Redis is away, the page has what the daemon knows of itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator

from rfctl import __version__
from rfctl.daemon.components import Components
from rfctl.daemon.event_loop import name_event_loop
from rfctl.daemon.readiness import Readiness
from rfctl.errors import RfctlError
from rfctl.observe import Snapshot, findings
from rfctl.observe import logging as logs
from rfctl.observe.metrics import DaemonFacts, Sample, read_daemon, read_redis

_KEPT_S = 1.0


class MetricsPage:
    """The metrics of one daemon. `clock` counts seconds."""

    def __init__(
        self, components: Components, readiness: Readiness, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._components = components
        self._readiness = readiness
        self._clock = clock
        self._snapshot: Snapshot | None = None
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def render(self, accept: str, within_s: float) -> tuple[bytes, str]:
        """Return the page and its content type; Redis has this time to answer."""
        snapshot = await self._find_snapshot(within_s)
        exposition = await asyncio.to_thread(_import_exposition)
        return exposition(self._collect(snapshot), accept)

    def _collect(self, snapshot: Snapshot | None) -> Iterator[Sample]:
        yield from read_daemon(self._gather_facts(), is_redis_up=snapshot is not None)
        if snapshot is not None:
            rules = self._components.settings.rules
            dropping = [name for name, rule in rules.items() if rule.action == "drop"]
            yield from read_redis(snapshot, findings(snapshot), dropping)

    async def _find_snapshot(self, within_s: float) -> Snapshot | None:
        """Return what Redis has now, or had within the last second; None when it does not answer in time."""
        if self._clock() - self._read_at >= _KEPT_S:
            reading = self._reading = self._reading or asyncio.create_task(self._read())
            done, _ = await asyncio.wait([reading], timeout=within_s)
            if not done:
                return None
            reading.result()  # a bug is an answer 500, and in the log
        return self._snapshot

    async def _read(self) -> None:
        self._snapshot = None
        try:
            if self._components.preflight.usable.is_set():
                with contextlib.suppress(RfctlError):  # who needs Redis says so in the log
                    self._snapshot = await self._components.take_snapshot()
        finally:
            self._read_at, self._reading = self._clock(), None

    def _gather_facts(self) -> DaemonFacts:
        components, readiness = self._components, self._readiness
        receiver = components.receiver
        return DaemonFacts(
            version=__version__,
            role=components.settings.daemon.role,
            event_loop=name_event_loop(asyncio.get_running_loop()),
            is_ready=readiness.judge().is_ready,
            turn_age_ms=readiness.measure_turn_age_ms(),
            lost_log_lines=logs.lost_lines(),
            sources=receiver.sources.keys(),
            requests=receiver.rejections.tally.sum_up(),
            messages=components.messages.sum_up(),
            invalid_traces=receiver.invalid_traces,
            redis_errors=readiness.redis_errors,
            turns=components.scheduler.counts,
            measures=components.store.batches.measures,
            attempts={name: counts.seconds for name, counts in components.supervisor.attempts.items()},
            body_bytes=receiver.budget.used_bytes,
            sink_bytes=components.supervisor.measure_bytes(),
        )

    async def close(self) -> None:
        """Give up a reading that still waits for Redis."""
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading


def _import_exposition() -> Callable[[Iterator[Sample], str], tuple[bytes, str]]:
    from rfctl.observe.metrics.exposition import render  # noqa: PLC0415 - own_files has imported it in a process; else it takes a while

    return render
