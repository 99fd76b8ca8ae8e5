"""The heartbeat: the record by which other shells know that this daemon is alive, written every two seconds."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from rfctl import __version__
from rfctl.assembly.sinks import list_forwarded_sinks
from rfctl.assembly.sources import list_open_sources
from rfctl.assembly.store import build_keyspace
from rfctl.config.fingerprint import compute_fingerprint
from rfctl.config.settings import Settings
from rfctl.daemon.event_loop import name_event_loop
from rfctl.errors import RfctlError
from rfctl.observe import logging as logs
from rfctl.store import LAYOUT_VERSION, DaemonRecord, Daemons, RecentRequests, ShardKeys, UnknownPath
from rfctl.store.recent_totals import RecentTotals, TotalsByMinute
from rfctl.store.recent_work import RecentWork
from rfctl.text import mask_urls
from rfctl.timing import sleep_or_stop

BEAT_S = 2.0


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a daemon listens: two URLs, "" where it does not, and the socket unit that the first is from."""

    webhook: str = ""
    monitor: str = ""
    socket_unit: str = ""


NOWHERE = Listening()


def build_record(
    settings: Settings,
    daemon_id: str,
    listening: Listening = NOWHERE,
    files: Mapping[str, str] | None = None,
    *,
    is_rolling_out: bool = False,
) -> DaemonRecord:
    """Return the record of this process; `files` has the hashes of its settings files."""
    batching = settings.batching
    return DaemonRecord(
        id=daemon_id,
        host=socket.gethostname(),
        pid=os.getpid(),
        version=__version__,
        role=settings.daemon.role,
        listener=listening.webhook,
        monitor=listening.monitor,
        socket_unit=listening.socket_unit,
        open_sources=tuple(list_open_sources(settings)) if listening.webhook else (),
        fingerprint=hashlib.sha256(batching.model_dump_json().encode()).hexdigest()[:12],
        quiet_ms=batching.quiet_ms,
        max_size=batching.max_size,
        max_wait_ms=batching.max_wait_ms,
        separator=batching.separator,
        settings_hash=compute_fingerprint(settings),
        files=dict(files or {}),
        order=batching.order,
        split_by=tuple(batching.split_by),
        output=build_keyspace(settings).output_stream,
        sinks={name: sink.type for name, sink in list_forwarded_sinks(settings).items()},
        is_rolling_out=is_rolling_out,
        layout=LAYOUT_VERSION,
        event_loop=name_event_loop(asyncio.get_running_loop()),
    )


class Heartbeat:
    """Writes a daemon's record, samples the totals of all shards, and deletes the records of the dead.

    `turn_age_ms` returns the age of the last turn, `read_requests` what became of the last requests, and
    `list_unknown_paths` those that missed a source. `count_work` returns what it did in the last minutes. `after` runs
    after each beat, `on_death` with the id of each daemon whose record was deleted.
    """

    def __init__(
        self,
        daemons: Daemons,
        record: DaemonRecord,
        shards: Sequence[ShardKeys],
        turn_age_ms: Callable[[], int],
        after: Sequence[Callable[[], Awaitable[None]]] = (),
        on_death: Callable[[str], Awaitable[None]] | None = None,
        read_requests: Callable[[], dict[str, RecentRequests]] = dict,
        list_unknown_paths: Callable[[], tuple[UnknownPath, ...]] = tuple,
        count_work: Callable[[], RecentWork] = RecentWork,
    ) -> None:
        self._daemons = daemons
        self._shards = shards
        self._totals = RecentTotals()
        self._minutes = TotalsByMinute()
        self.settled = record
        """What this daemon is by its settings: its record without times."""
        self._record = record
        self._turn_age_ms = turn_age_ms
        self._after = after
        self._on_death = on_death
        self._read_requests = read_requests
        self._list_unknown_paths = list_unknown_paths
        self._count_work = count_work
        self._turned_at: float | None = None

    def measure_age_s(self) -> float:
        """Return how long ago it took its last turn, s; 0 before the first."""
        return 0.0 if self._turned_at is None else time.monotonic() - self._turned_at

    def reconfigure(self, record: DaemonRecord) -> None:
        """Write another record from now on: that of a reload. The time of the start stays."""
        self.settled = record
        self._record = msgspec.structs.replace(
            record, started_ms=self._record.started_ms, reloaded_ms=self._record.beat_ms
        )

    def refuse_reload(self, why: str) -> None:
        """Say from now on that the last reload was refused, until one succeeds."""
        self._record = msgspec.structs.replace(self._record, reload_refused=mask_urls(why))

    async def _write_record(self) -> None:
        record = msgspec.structs.replace(
            self._record, lost_log_lines=logs.lost_lines(), recent_requests=self._read_requests(),
            totals_before=self._totals.oldest, unknown_paths=self._list_unknown_paths(),
            minutes=self._minutes.count(), recent_work=self._count_work(),
        )  # fmt: skip
        age_ms = self._turn_age_ms()
        written, sample = await self._daemons.write_and_sample(record, self._shards, age_ms=age_ms)
        self._totals.keep(sample)
        self._minutes.keep(sample)
        # A reload may have changed the record meanwhile.
        self._record = msgspec.structs.replace(
            self._record, started_ms=written.started_ms, beat_ms=written.beat_ms
        )

    async def _forget_dead(self) -> None:
        for daemon_id in await self._daemons.forget_dead():
            if self._on_death is not None:
                await self._on_death(daemon_id)

    async def run(self, stopping: asyncio.Event) -> None:
        """Beat until `stopping` is set. It logs no failure of Redis: the scheduler does."""
        while not stopping.is_set():
            for step in (self._write_record, self._forget_dead, *self._after):
                with contextlib.suppress(RfctlError):
                    await step()
            self._turned_at = time.monotonic()
            await sleep_or_stop(stopping, BEAT_S)

    async def remove_record(self) -> None:
        """Delete the record: this daemon is no longer alive. Raises RfctlError."""
        await self._daemons.remove(self._record.id)
