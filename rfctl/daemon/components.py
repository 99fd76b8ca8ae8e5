"""What one daemon is made of: built from the settings, and changed with them while it runs.

Settings stop here: the parts are given plain values. What cannot change in a running daemon (its Redis, its
listener, its roles) stays as it was at the start.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

import structlog

from rfctl.assembly.sinks import forwarded_sinks, worker_groups
from rfctl.assembly.sources import build_sources, check_open_to_all, insecure
from rfctl.assembly.store import rules_of
from rfctl.batching.scheduler import Scheduler
from rfctl.config.options import options, value_of
from rfctl.config.settings import Settings
from rfctl.daemon.preflight import Preflight
from rfctl.daemon.readiness import Readiness
from rfctl.delivery.supervisor import Supervisor
from rfctl.errors import RedisUnreachableError, RfctlError
from rfctl.ingest.group_commit import GroupCommit
from rfctl.ingest.receiver import Receiver
from rfctl.model.message import Added, Message
from rfctl.sources.generic.node_form import BATCHED
from rfctl.sources.registry import GENERIC
from rfctl.store.batches import Batches
from rfctl.store.deliveries import make_group
from rfctl.store.quarantine import Quarantine
from rfctl.store.trimmer import TRIM_EVERY_S, Trimmer
from rfctl.timing import sleep_or_stop

_log = structlog.get_logger("daemon")
_LEAST_CHECK_MS = 10
_AT_START = ("redis.", "http.", "output.stream", "daemon.")
"""Settings that hold from the start of a daemon to its end."""


class Components:
    """The parts of one daemon. `daemon_id` tells it from all others, `failed` is told of a forwarder that ended."""

    def __init__(
        self,
        settings: Settings,
        batches: Batches,
        pulse: Readiness,
        daemon_id: str,
        failed: Callable[[asyncio.Task[None]], None],
    ) -> None:
        connection, shards, output = batches.connection, batches.shards, settings.output
        self.settings = settings
        self.batches = batches
        self._pulse = pulse
        self._groups: set[str] = set()
        self.processor = Scheduler(batches, max_sleep_ms=self._check_ms(), turned=pulse.turned)
        self.vetting = Preflight(
            connection, allow_eviction=settings.redis.allow_eviction, shards=settings.redis.shards
        )
        self.reception = Receiver(
            build_sources(settings),
            GroupCommit(self._store),
            Quarantine(connection),
            placeholder=settings.batching.placeholder,
            max_body_bytes=settings.http.max_body_bytes,
            expect=self.processor.expect,
        )
        self.forwarders = Supervisor(
            connection.address, shards, daemon_id, passed=lambda: self.vetting.passed, failed=failed
        )
        self.trimmer = Trimmer(connection, shards, output.retention_s, output.retention_entries)

    def does(self, role: str) -> bool:
        """Say whether the daemon has this role."""
        return self.settings.daemon.role in ("all", role)

    def _check_ms(self) -> int:
        # A batch that another daemon opens right after a look is due its quiet_ms later: look again by then.
        shortest = rules_of(self.settings).policy.shortest_ms
        return max(_LEAST_CHECK_MS, min(self.settings.daemon.max_sleep_ms, shortest))

    async def _store(self, messages: Sequence[Message]) -> list[Added]:
        if not self.vetting.passed:
            raise RedisUnreachableError("Redis has not answered yet")
        return await self.batches.add(messages)

    async def open_exits(self, settings: Settings, redis_url: str) -> None:
        """Deliver to the sinks of these settings. Raises SettingsError before anything was changed."""
        if self.does("forwarder"):
            await self.forwarders.serve(forwarded_sinks(settings), redis_url)

    def loops(self, stopping: asyncio.Event) -> list[Awaitable[None]]:
        """Return what is to run until `stopping` is set."""
        return [self._process(stopping), self._trim(stopping)] if self.does("processor") else []

    async def _process(self, stopping: asyncio.Event) -> None:
        while not self.vetting.passed and not stopping.is_set():
            self._pulse.turned()
            await sleep_or_stop(stopping, 0.1)
        await self.processor.run(stopping)

    async def _trim(self, stopping: asyncio.Event) -> None:
        """Trim now and then, and never before the groups are there of which the settings say that they read."""
        while not stopping.is_set():
            with contextlib.suppress(RfctlError):
                await self._make_worker_groups()
                await self.trimmer.step()
            await sleep_or_stop(stopping, TRIM_EVERY_S)

    async def _make_worker_groups(self) -> None:
        for group in set(worker_groups(self.settings)) - self._groups:
            for shard in self.batches.shards:
                await make_group(self.batches.connection, shard.out, group)
            self._groups.add(group)

    async def beaten(self) -> None:
        """Do what goes with every heartbeat: write the counters; without a processor it is also the turn."""
        if not self.does("processor"):
            self._pulse.turned()
        await self.reception.tally.write(self.batches.connection, self.batches.shards[0].totals)

    def warn(self) -> None:
        """Say what of the settings should be known at every start and every reload."""
        for name in insecure(self.settings):
            cure = f"set sources.{name}.secrets, and take away insecure"
            _log.warning("unverified_requests_taken", source=name, next=cure)
        if GENERIC not in self.reception.entrances:
            _log.info(
                "no_source_generic",
                address=BATCHED,
                next="add [sources.generic] if the Node sender is in use",
            )

    async def use(self, new: Settings, redis_url: str) -> list[str]:
        """Go on with new settings. Returns the names of those that differ and wait for a restart.

        Raises SettingsError for wrong ones: then nothing was changed.
        """
        old = self.settings
        if self.does("webhook"):
            check_open_to_all(new.model_copy(update={"http": old.http}))
        ways_in = build_sources(new)
        await self.open_exits(new, redis_url)
        self.settings = _with_those_of_the_start(old, new)
        self.batches.rules = rules_of(self.settings)
        self.reception.entrances, self.reception.placeholder = ways_in, new.batching.placeholder
        self.processor.max_sleep_ms = self._check_ms()
        self.trimmer.retention_s, self.trimmer.retention_entries = (
            new.output.retention_s,
            new.output.retention_entries,
        )
        with contextlib.suppress(RfctlError):
            await self._make_worker_groups()  # else the trimming makes them, before it trims
        return [
            one.name
            for one in options()
            if one.name.startswith(_AT_START) and value_of(old, one.name) != value_of(new, one.name)
        ]


def _with_those_of_the_start(old: Settings, new: Settings) -> Settings:
    output = new.output.model_copy(update={"stream": old.output.stream})
    return new.model_copy(
        update={"redis": old.redis, "http": old.http, "daemon": old.daemon, "output": output}
    )
