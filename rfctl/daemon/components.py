"""What one daemon is made of: built from the settings, and changed with them while it runs.

Settings stop here: each component gets plain values. What cannot change in a running daemon (its Redis, its
listener, its role) stays as it was at the start.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import structlog

from rfctl.assembly.batching import build_rules
from rfctl.assembly.sinks import forwarded_sinks, open_targets, worker_groups
from rfctl.assembly.sources import build_sources, check_open_to_all, insecure
from rfctl.assembly.store import batch_options
from rfctl.batching import Batcher, Scheduler
from rfctl.config.options import options, value_of
from rfctl.config.settings import Settings
from rfctl.daemon.preflight import Preflight
from rfctl.daemon.readiness import Readiness
from rfctl.delivery import Supervisor
from rfctl.errors import RedisUnreachableError, RfctlError
from rfctl.ingest.group_commit import GroupCommit
from rfctl.ingest.receiver import Receiver
from rfctl.model.message import Message
from rfctl.model.stored import Added
from rfctl.sources.generic.node_form import BATCHED
from rfctl.sources.registry import GENERIC
from rfctl.store import Store
from rfctl.timing import sleep_or_stop, wait_for_any

_log = structlog.get_logger("daemon")
_LEAST_SLEEP_MS = 10
_TRIM_EVERY_S = 5.0
_AT_START = ("redis.", "http.", "output.stream", "daemon.")
"""Settings that hold from the start of a daemon to its end."""


class Components:
    """The components of one daemon, whose id is `daemon_id`.

    `redis_url` is where queue libraries find the same Redis; `on_end` is called with each forwarder's task when it ends.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        readiness: Readiness,
        daemon_id: str,
        redis_url: str,
        on_end: Callable[[asyncio.Task[None]], None],
    ) -> None:
        self.settings = settings
        self.store = store
        self._readiness = readiness
        self._groups: set[str] = set()
        self.batcher = Batcher(store, build_rules(settings))
        self.scheduler = Scheduler(
            self.batcher, max_sleep_ms=self._max_sleep_ms(), on_turn=readiness.record_turn
        )
        self.preflight = Preflight(store, allow_eviction=settings.redis.allow_eviction)
        self.receiver = Receiver(
            build_sources(settings),
            GroupCommit(self._add),
            store.quarantine,
            store.counters,
            placeholder=settings.batching.placeholder,
            max_body_bytes=settings.http.max_body_bytes,
            expect=self.scheduler.expect,
        )
        self.supervisor = Supervisor(
            store, daemon_id, partial(open_targets, redis_url=redis_url), usable=self.preflight.usable, on_end=on_end
        )  # fmt: skip

    def has_role(self, role: str) -> bool:
        """Say whether the daemon has this role."""
        return self.settings.daemon.role in ("all", role)

    def _max_sleep_ms(self) -> int:
        # A batch that another daemon opens right after a look is due its quiet_ms later: look again by then.
        shortest = self.batcher.rules.policy.shortest_ms
        return max(_LEAST_SLEEP_MS, min(self.settings.daemon.max_sleep_ms, shortest))

    async def _add(self, messages: Sequence[Message]) -> list[Added]:
        if not self.preflight.passed:
            raise RedisUnreachableError("Redis has not answered yet")
        return await self.batcher.add(messages)

    async def start_sinks(self) -> None:
        """Deliver to the sinks of the settings. Raises SettingsError before anything was started."""
        if self.has_role("forwarder"):
            await self.supervisor.reconfigure(forwarded_sinks(self.settings))

    def loops(self, stopping: asyncio.Event) -> list[Awaitable[None]]:
        """Return what is to run until `stopping` is set."""
        return [self._schedule(stopping), self._trim(stopping)] if self.has_role("processor") else []

    async def _schedule(self, stopping: asyncio.Event) -> None:
        waiting = asyncio.ensure_future(wait_for_any(self.preflight.usable, stopping))
        while not waiting.done():
            self._readiness.record_turn()
            await asyncio.wait([waiting], timeout=1)
        await self.scheduler.run(stopping)

    async def _trim(self, stopping: asyncio.Event) -> None:
        """Trim now and then, and never before the groups are there of which the settings say that they read."""
        while not stopping.is_set():
            output = self.settings.output
            with contextlib.suppress(RfctlError):
                await self._make_worker_groups()
                await self.store.output.trim(
                    retention_s=output.retention_s, retention_entries=output.retention_entries
                )
            await sleep_or_stop(stopping, _TRIM_EVERY_S)

    async def _make_worker_groups(self) -> None:
        for group in set(worker_groups(self.settings)) - self._groups:
            await self.store.output.make_group(group)
            self._groups.add(group)

    async def record_turn_without_scheduler(self) -> None:
        """Count a heartbeat as the turn that feeds the watchdog, in a daemon that runs no scheduler."""
        if not self.has_role("processor"):
            self._readiness.record_turn()

    def warn(self) -> None:
        """Log what of the settings should be known at every start and every reload."""
        for name in insecure(self.settings):
            cure = f"set sources.{name}.secrets, and take away insecure"
            _log.warning("source_unverified", source=name, next=cure)
        if GENERIC not in self.receiver.sources:
            _log.info(
                "generic_source_disabled",
                address=BATCHED,
                next="add [sources.generic] if the Node sender is in use",
            )

    async def reconfigure(self, new: Settings) -> list[str]:
        """Go on with new settings. Returns the names of those that differ and wait for a restart.

        Raises SettingsError for wrong ones: then nothing was changed.
        """
        old = self.settings
        if self.has_role("webhook"):
            check_open_to_all(new.model_copy(update={"http": old.http}))
        sources = build_sources(new)
        if self.has_role("forwarder"):
            await self.supervisor.reconfigure(forwarded_sinks(new))
        self.settings = _with_those_of_the_start(old, new)
        self.batcher.rules = build_rules(self.settings)
        self.store.batches.options = batch_options(self.settings)
        self.receiver.reconfigure(sources, new.batching.placeholder)
        self.scheduler.max_sleep_ms = self._max_sleep_ms()
        with contextlib.suppress(RfctlError):
            await self._make_worker_groups()  # else the trimming makes them, before it trims
        return [
            option.name
            for option in options()
            if option.name.startswith(_AT_START) and value_of(old, option.name) != value_of(new, option.name)
        ]


def _with_those_of_the_start(old: Settings, new: Settings) -> Settings:
    output = new.output.model_copy(update={"stream": old.output.stream})
    return new.model_copy(
        update={"redis": old.redis, "http": old.http, "daemon": old.daemon, "output": output}
    )
