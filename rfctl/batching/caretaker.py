"""The loop that looks after the data itself: it sweeps now and then.

A sweep comes at the start, once an hour, and soon after a batch had vanished when it was due. One daemon sweeps at a time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from rfctl.errors import RfctlError
from rfctl.store import Store, SweepReport
from rfctl.timing import sleep_or_stop

_log = structlog.get_logger("batching")
_LOOKS_EVERY_S = 5.0
_SWEEPS_EVERY_S = 3600.0
_SWEEPS_AGAIN_S = 60.0


class Caretaker:
    """Looks after the data of one Redis for one daemon. `clock` counts seconds."""

    def __init__(self, store: Store, daemon_id: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._daemon_id = daemon_id
        self._clock = clock
        self._missing: int | None = None
        self._swept_at: float | None = None

    async def run(self, stopping: asyncio.Event) -> None:
        """Look every few seconds until `stopping` is set. A failure of Redis is left to the next look."""
        while not stopping.is_set():
            try:
                await self.step()
            except RfctlError as problem:
                _log.debug("sweep_failed", problem=problem.fact)
            await sleep_or_stop(stopping, _LOOKS_EVERY_S)

    async def step(self) -> SweepReport | None:
        """Look once; returns the report if it swept. Raises RfctlError."""
        has_vanished = await self._watch_missing()
        age_s = float("inf") if self._swept_at is None else self._clock() - self._swept_at
        if age_s < (_SWEEPS_AGAIN_S if has_vanished else _SWEEPS_EVERY_S):
            return None
        report = await self._store.sweep.run(self._daemon_id)
        self._swept_at = self._clock()
        self._missing = await self._store.sweep.count_missing()
        if report is not None:
            _log_report(report)
        return report

    async def _watch_missing(self) -> bool:
        """Record that batches had vanished since the last look; says whether a sweep has not seen that yet."""
        missing, before = await self._store.sweep.count_missing(), self._missing
        if before is None:
            self._missing = missing
        elif missing > before:
            await self._store.sweep.record(missing=missing - before, missing_at_ms=await self._store.now_ms())
        return before is not None and missing > before


def _log_report(report: SweepReport) -> None:
    if report.put_back or report.taken_out:
        _log.warning("index_mended", put_back=report.put_back, taken_out=report.taken_out)
    if report.unclaimed:
        _log.warning(
            "lists_unclaimed", lists=report.unclaimed, expiring=report.expiring, keys=report.phones,
            next="rfctl stats says more",
        )  # fmt: skip
