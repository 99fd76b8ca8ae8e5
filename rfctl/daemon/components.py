"""The components of one daemon: built from the settings, and reconfigured with them while it runs.

Settings stop here: each component gets plain values. A running daemon keeps its Redis, its listener and its role.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import structlog

from rfctl.assembly.batching import build_rules
from rfctl.assembly.notices import list_notices
from rfctl.assembly.rights import build_store_rights
from rfctl.assembly.sinks import (
    list_configured_sinks,
    list_forwarded_sinks,
    list_groups,
    open_targets,
)
from rfctl.assembly.sources import build_sources, check_exposure, list_insecure_sources
from rfctl.assembly.store import build_batch_options
from rfctl.batching import Batcher, Caretaker, Scheduler
from rfctl.config.options import list_options, value_of
from rfctl.config.settings import Settings
from rfctl.daemon.canary import Canary
from rfctl.daemon.preflight import Preflight, check_peers
from rfctl.daemon.readiness import Readiness
from rfctl.delivery import Supervisor
from rfctl.errors import RedisUnreachableError, RfctlError
from rfctl.ingest.access import Gate
from rfctl.ingest.group_commit import GroupCommit
from rfctl.ingest.receiver import Receiver
from rfctl.ingest.tally import MessageTally
from rfctl.model.closed_sets import Role
from rfctl.model.message import Message, Renaming
from rfctl.model.stored import Added
from rfctl.observe import Snapshot, take_snapshot
from rfctl.sources.generic.node_form import BATCHED
from rfctl.sources.registry import GENERIC
from rfctl.store import ConfiguredSink, DaemonRecord, Store
from rfctl.store.recent_work import RecentAttempts, RecentWork
from rfctl.timing import sleep_or_stop, wait_for_any

if TYPE_CHECKING:
    from rfctl.observe.tracing import Tracing

_log = structlog.get_logger("daemon")
_MIN_SLEEP_MS = 10
_TRIM_EVERY_S, _TURN_EVERY_S = 5.0, 1.0
_LOG_TRIMMED_EVERY = 12
"""The delivery log and the quarantine are trimmed in each of so many rounds."""
_NEXT_OF_QUARANTINE = "rfctl quarantine list; to keep more: quarantine.retention_s, quarantine.max_bytes"
_FIXED_SETTINGS = ("redis.", "http.", "output.stream", "daemon.")
"""Prefixes of the settings that need a restart."""


class Components:
    """The components of one daemon, whose id is `daemon_id`.

    Queue libraries find the same Redis at `redis_url`. `on_end` is called with the task of each forwarder that ends.
    `tracing` writes spans, where that is on.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        readiness: Readiness,
        daemon_id: str,
        redis_url: str,
        on_end: Callable[[asyncio.Task[None]], None],
        record: DaemonRecord | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self.settings = settings
        self.store = store
        self._readiness = readiness
        self.batcher = Batcher(store, build_rules(settings))
        self.scheduler = Scheduler(
            self.batcher,
            max_sleep_ms=self._max_sleep_ms(),
            on_turn=readiness.record_turn,
            on_failure=readiness.record_failed_turn,
        )
        self.rights = build_store_rights(settings, store.db)
        self.preflight = Preflight(
            store, allow_eviction=settings.redis.allow_eviction, rights=self.rights,
            sinks=list(list_forwarded_sinks(settings)), record=record,
        )  # fmt: skip
        self.canary = Canary(store, daemon_id, self.preflight, list(list_forwarded_sinks(settings)))
        self.caretaker = Caretaker(store, daemon_id)
        self.messages = MessageTally()
        self.receiver = Receiver(
            build_sources(settings),
            GroupCommit(self._add),
            store.quarantine,
            store.counters,
            placeholder=settings.batching.placeholder,
            max_body_bytes=settings.http.max_body_bytes,
            max_inflight_bytes=settings.http.max_inflight_bytes,
            gate=build_gate(settings),
            move_aliases=self._move_aliases,
            on_due=self.scheduler.wake_for,
        )
        self.supervisor = Supervisor(
            store, daemon_id, partial(open_targets, redis_url=redis_url), usable=self.preflight.usable, on_end=on_end,
            writes_log=lambda: self.settings.delivery_log.max_bytes > 0, tracing=tracing,
        )  # fmt: skip
        readiness.loops.watch("intake", self.receiver.group_commit.measure_age_s)
        readiness.loops.watch("forwarders", self.supervisor.measure_age_s)
        if tracing is not None:
            self.receiver.tracing = tracing
            store.batches.on_traced = tracing.record_hand_over

    def has_role(self, role: Role) -> bool:
        """Say whether the daemon has this role."""
        return self.settings.daemon.role in ("all", role)

    def _max_sleep_ms(self) -> int:
        # Another daemon may open a batch right after a turn. It is due after its quiet_ms or max_wait_ms: wake by then.
        return max(_MIN_SLEEP_MS, min(self.settings.daemon.max_sleep_ms, self.batcher.shortest_wait_ms))

    async def _add(self, messages: Sequence[Message]) -> list[Added]:
        if not self.preflight.usable.is_set():
            raise RedisUnreachableError("Redis has not answered yet")
        try:
            results = await self.batcher.add(messages)
        except RfctlError:
            self._readiness.record_failed_intake()
            raise
        self.messages.count(messages, results)
        return results

    async def _move_aliases(self, renamings: Sequence[Renaming]) -> None:
        if not self.preflight.usable.is_set():
            raise RedisUnreachableError("Redis has not answered yet")
        await self.batcher.move_aliases(renamings)

    async def start_sinks(self) -> None:
        """Begin to deliver to the sinks of the settings. Raises SettingsError; then none is started."""
        if self.has_role("forwarder"):
            await self.supervisor.reconfigure(list_forwarded_sinks(self.settings))

    def create_loops(self, stopping: asyncio.Event) -> list[Awaitable[None]]:
        """Return the loops of this daemon's role, which run until `stopping` is set."""
        if not self.has_role("processor"):
            return [self._ensure_groups(stopping), self._turn(stopping)]
        return [self._schedule(stopping), self._trim(stopping), self._care(stopping)]

    async def _care(self, stopping: asyncio.Event) -> None:
        await wait_for_any(self.preflight.usable, stopping)
        await self.caretaker.run(stopping)

    async def _schedule(self, stopping: asyncio.Event) -> None:
        wait = asyncio.ensure_future(wait_for_any(self.preflight.usable, stopping))
        while not wait.done():
            self._readiness.record_turn()
            await asyncio.wait([wait], timeout=1)
        await self.scheduler.run(stopping)

    async def _trim(self, stopping: asyncio.Event) -> None:
        """Trim now and then, but only while every consumer group of the settings exists: it may read old entries."""
        await wait_for_any(self.preflight.usable, stopping)
        rounds = 0
        while not stopping.is_set():
            output, groups = self.settings.output, list_groups(self.settings)
            with contextlib.suppress(RfctlError):
                await self.store.output.ensure_groups(groups)
                await self.store.output.trim(
                    retention_s=output.retention_s,
                    retention_entries=output.retention_entries,
                    groups=groups,
                )
                if rounds % _LOG_TRIMMED_EVERY == 0:
                    log = self.settings.delivery_log
                    await self.store.delivery_log.trim(retention_s=log.retention_s, max_bytes=log.max_bytes)
                    await self._trim_quarantine()
            rounds += 1
            await sleep_or_stop(stopping, _TRIM_EVERY_S)

    async def _trim_quarantine(self) -> None:
        """Remove what is too old or too much. Somebody may miss it: it is counted, and logged."""
        limits = self.settings.quarantine
        removed = await self.store.quarantine.trim(
            retention_s=limits.retention_s, max_bytes=limits.max_bytes, now_ms=await self.store.now_ms()
        )
        if removed:
            self.store.counters.add({"quarantine_trimmed": removed})
            _log.warning("quarantine_trimmed", requests=removed, next=_NEXT_OF_QUARANTINE)

    async def _ensure_groups(self, stopping: asyncio.Event) -> None:
        """Make the groups of the settings. The daemon that trims may have older settings, without a new sink."""
        await wait_for_any(self.preflight.usable, stopping)
        while not stopping.is_set():
            with contextlib.suppress(RfctlError):
                await self.store.output.ensure_groups(list_groups(self.settings))
                break
            await sleep_or_stop(stopping, _TRIM_EVERY_S)

    async def _turn(self, stopping: asyncio.Event) -> None:
        """Take the turns of a daemon that runs no scheduler: what it does runs in the loops that are watched."""
        while not stopping.is_set():
            self._readiness.record_turn()
            await sleep_or_stop(stopping, _TURN_EVERY_S)

    def count_recent_work(self) -> RecentWork:
        """Return what this daemon has done in the last minutes."""
        measures = self.store.batches.measures
        attempts = {
            name: RecentAttempts(counts.delivered.count(), counts.failed.count())
            for name, counts in self.supervisor.attempts.items()
        }
        return RecentWork(measures.recent_waits.count(), measures.recent_lateness.count(), attempts)

    async def take_snapshot(self) -> Snapshot:
        """Return what is going on, for the findings. Raises RfctlError."""
        snapshot = await take_snapshot(
            self.store, self.list_sinks(), limit=0, rights=self.rights,
            allow_eviction=self.settings.redis.allow_eviction,
        )  # fmt: skip
        self.preflight.run_id = snapshot.server.run_id
        return snapshot

    async def check_peers(self, new: Settings, build_record: Callable[[Settings], DaemonRecord]) -> None:
        """Raise SettingsConflictError if a living daemon does not go with new settings."""
        alive: list[DaemonRecord] = []
        with contextlib.suppress(RfctlError):  # Redis is away: the watch looks again
            alive = await self.store.daemons.list_alive()
        check_peers(build_record(keep_fixed_settings(self.settings, new)), alive)

    def list_sinks(self) -> list[ConfiguredSink]:
        """Return the sinks of the settings in force."""
        return list_configured_sinks(self.settings)

    def log_notices(self) -> None:
        """Log what an operator should know of the sources, sinks and tokens, at every start and every reload."""
        for notice in list_notices(self.settings):
            _log.warning("settings_noticed", text=notice)
        for name in list_insecure_sources(self.settings):
            step = f"set sources.{name}.secrets, and take away insecure"
            _log.warning("source_unverified", source=name, next=step)
        if GENERIC not in self.receiver.sources:
            _log.info(
                "generic_source_disabled",
                address=BATCHED,
                next="add [sources.generic] if somebody sends to this address",
            )

    async def reconfigure(self, new: Settings) -> list[str]:
        """Use other settings from now on. Returns the names of the changed settings that need a restart.

        Raises SettingsError; then nothing was changed.
        """
        old = self.settings
        if self.has_role("webhook"):
            check_exposure(new.model_copy(update={"http": old.http}))
        sources = build_sources(new)
        if self.has_role("forwarder"):
            await self.supervisor.reconfigure(list_forwarded_sinks(new))
        self.settings = keep_fixed_settings(old, new)
        self.batcher.reconfigure(build_rules(self.settings))
        self.store.reconfigure(build_batch_options(self.settings))
        self.receiver.reconfigure(sources, new.batching.placeholder)
        self.canary.reconfigure(list(list_forwarded_sinks(self.settings)))
        self.scheduler.reconfigure(max_sleep_ms=self._max_sleep_ms())
        with contextlib.suppress(RfctlError):
            # The daemon that trims makes them too, before it does; but its settings may be older.
            await self.store.output.ensure_groups(list_groups(self.settings))
        return [
            option.name
            for option in list_options()
            if option.name.startswith(_FIXED_SETTINGS)
            and value_of(old, option.name) != value_of(new, option.name)
        ]


def build_gate(settings: Settings) -> Gate:
    """Return what decides who is let in."""
    http = settings.http
    return Gate(http.admin_token, frozenset(http.allowed_hosts), http.metrics_token)


def keep_fixed_settings(old: Settings, new: Settings) -> Settings:
    """Return the new settings with the old ones of a running daemon where those stay until a restart."""
    output = new.output.model_copy(update={"stream": old.output.stream})
    return new.model_copy(
        update={"redis": old.redis, "http": old.http, "daemon": old.daemon, "output": output}
    )
