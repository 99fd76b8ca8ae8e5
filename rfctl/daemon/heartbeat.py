"""The loop that says every two seconds that this daemon is alive."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from rfctl.errors import RfctlError
from rfctl.store import DaemonRecord, Daemons
from rfctl.timing import sleep_or_stop

BEAT_S = 2.0


class Heartbeat:
    """Writes one daemon's record. `age_ms` says how long ago the work last turned; `after` runs behind each beat."""

    def __init__(
        self,
        daemons: Daemons,
        record: DaemonRecord,
        age_ms: Callable[[], int],
        after: Sequence[Callable[[], Awaitable[None]]] = (),
    ) -> None:
        self._daemons = daemons
        self._record = record
        self._age_ms = age_ms
        self._after = after

    def describe(self, record: DaemonRecord) -> None:
        """Change what the record says; the time of the start stays."""
        self._record = msgspec.structs.replace(record, started_ms=self._record.started_ms)

    async def beat(self) -> None:
        """Write the record once."""
        self._record = await self._daemons.write(self._record, age_ms=self._age_ms())

    async def run(self, stopping: asyncio.Event) -> None:
        """Beat until `stopping` is set; a Redis that is away is the scheduler's to report."""
        while not stopping.is_set():
            for step in (self.beat, self._daemons.forget_dead, *self._after):
                with contextlib.suppress(RfctlError):
                    await step()
            await sleep_or_stop(stopping, BEAT_S)

    async def stop(self) -> None:
        """Take the record away: this daemon is no longer alive."""
        await self._daemons.remove(self._record.id)
