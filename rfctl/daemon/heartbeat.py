"""The heartbeat: the record by which other shells know that this daemon is alive, written every two seconds."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import socket
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from rfctl import __version__
from rfctl.config.settings import Settings
from rfctl.errors import RfctlError
from rfctl.store import LAYOUT_VERSION, DaemonRecord, Daemons
from rfctl.timing import sleep_or_stop

BEAT_S = 2.0


def build_record(settings: Settings, daemon_id: str, listener: str) -> DaemonRecord:
    """Return the record of this process; `listener` is its URL, or ""."""
    batching = settings.batching
    return DaemonRecord(
        id=daemon_id,
        host=socket.gethostname(),
        pid=os.getpid(),
        version=__version__,
        role=settings.daemon.role,
        listener=listener,
        fingerprint=hashlib.sha256(batching.model_dump_json().encode()).hexdigest()[:12],
        quiet_ms=batching.quiet_ms,
        max_size=batching.max_size,
        max_wait_ms=batching.max_wait_ms,
        separator=batching.separator,
        layout=LAYOUT_VERSION,
    )


class Heartbeat:
    """Writes a daemon's record. `turn_age_ms` returns the age of the last turn; `after` runs after each beat."""

    def __init__(
        self,
        daemons: Daemons,
        record: DaemonRecord,
        turn_age_ms: Callable[[], int],
        after: Sequence[Callable[[], Awaitable[None]]] = (),
    ) -> None:
        self._daemons = daemons
        self._record = record
        self._turn_age_ms = turn_age_ms
        self._after = after

    def reconfigure(self, record: DaemonRecord) -> None:
        """Write another record from now on; the time of the start stays."""
        self._record = msgspec.structs.replace(record, started_ms=self._record.started_ms)

    async def _write_record(self) -> None:
        self._record = await self._daemons.write(self._record, age_ms=self._turn_age_ms())

    async def run(self, stopping: asyncio.Event) -> None:
        """Beat until `stopping` is set. It logs no failure of Redis: the scheduler does."""
        while not stopping.is_set():
            for step in (self._write_record, self._daemons.forget_dead, *self._after):
                with contextlib.suppress(RfctlError):
                    await step()
            await sleep_or_stop(stopping, BEAT_S)

    async def remove_record(self) -> None:
        """Delete the record: this daemon is no longer alive. Raises RfctlError."""
        await self._daemons.remove(self._record.id)
