"""From the settings to a diagnosis: what is to be looked at, all of it side by side, within seconds."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from rfctl import __version__
from rfctl.assembly.check import find_problems
from rfctl.assembly.packaged import UNITS, read_packaged
from rfctl.assembly.probe import find_listener, probe_daemons
from rfctl.assembly.receivers import list_receiver_addresses
from rfctl.assembly.rights import build_store_rights
from rfctl.assembly.sinks import list_configured_sinks, list_unset_companies
from rfctl.assembly.sources import list_open_sources
from rfctl.assembly.store import build_keyspace, open_store
from rfctl.config.fingerprint import compute_fingerprint
from rfctl.config.loader import Configuration
from rfctl.config.notices import find_ignored_url, list_open_files
from rfctl.config.settings import EMBEDDED
from rfctl.errors import KeyTakenError, RedisUnreachableError, RfctlError
from rfctl.model.redis_url import parse_redis_url
from rfctl.observe import Snapshot, take_snapshot
from rfctl.observe.diagnosis import Diagnosis, diagnose
from rfctl.observe.examination import Examination, Reading, examine
from rfctl.observe.facts import (
    HostFacts,
    Machine,
    Neighbour,
    OpenSource,
    ProbeAnswer,
    Shell,
    describe_elsewhere,
    reach_receivers,
    read_disk,
    read_listener,
    read_neighbours,
)
from rfctl.observe.threads import UnwaitedThreads
from rfctl.store import Store, WorkerEntry
from rfctl.text import duration, mask_url

_SOCKETS = 6
_LISTENING = ("all", "webhook")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_REDIS_S = 4.0
"""How long all questions to Redis may take together: then it counts as not reached."""
_ALL_S, _PROBE_S = 4.8, 0.8
"""How long all of it may take with a probe, and what the probe gets at least: it goes last, when the daemons are known."""
_DISK_S = 0.5
"""How long the disk may take, which is looked at last: all of it takes less than five seconds."""


def build_shell(configuration: Configuration) -> Shell:
    """Return what this process looks at, and who set that."""
    settings, address = configuration.settings, configuration.address()
    keyspace = build_keyspace(settings)
    return Shell(
        redis=mask_url(address.url),
        set_by=address.set_by,
        overrides=address.overrides,
        prefix=settings.redis.prefix,
        stream=keyspace.output_stream,
        shards=settings.redis.shards,
        settings_hash=compute_fingerprint(settings),
        version=__version__,
        files=tuple(str(path) for path in configuration.files),
        short_tokens={name: configuration.set_by(name) for name in settings.http.short_tokens},
    )


def describe_open_sources(configuration: Configuration) -> tuple[OpenSource, ...]:
    """Return the sources that a daemon with these settings would serve to other machines without verifying anything."""
    settings = configuration.settings
    if settings.daemon.role not in _LISTENING:
        return ()
    host = settings.http.host
    listener = host if host.startswith("unix:") else f"{host}:{settings.http.port}"
    return tuple(
        OpenSource(name, listener, configuration.set_by(f"sources.{name}.insecure"))
        for name in list_open_sources(settings)
    )


@dataclass(frozen=True, slots=True)
class Doctor:
    """Looks at everything once. `machine` has the files of this host.

    It writes nothing; but if it `probes`, daemons send a message of their own, on keys of its own.
    """

    configuration: Configuration
    machine: Machine = field(default_factory=Machine)
    probes: bool = False

    async def diagnose(self) -> Diagnosis:
        """Return the diagnosis. No failure of Redis, of a receiver or of a check is raised: each is a finding."""
        configuration, began = self.configuration, asyncio.get_running_loop().time()
        examination = Examination(
            shell=build_shell(configuration),
            open_sources=describe_open_sources(configuration),
            unset_companies=tuple(
                replace(unset, set_by=configuration.set_by(unset.setting))
                for unset in list_unset_companies(configuration.settings)
            ),
        )
        (snapshot, of_redis), of_host = await asyncio.gather(
            self._examine_redis(examination), examine(examination, self._list_host_readings())
        )
        examination = merge(of_host, of_redis)
        left_s = max(_PROBE_S, _ALL_S - (asyncio.get_running_loop().time() - began))
        examination, probe = await asyncio.gather(
            self._look_at_processes(snapshot, examination), self._probe(snapshot, left_s)
        )
        return diagnose(snapshot, replace(examination, probe=probe))

    async def _probe(self, snapshot: Snapshot | None, limit_s: float) -> tuple[ProbeAnswer, ...] | None:
        return await probe_daemons(self.configuration, snapshot, limit_s) if self.probes else None

    def _list_host_readings(self) -> list[Reading]:
        """Return what can be read without Redis."""
        configuration = self.configuration
        folders, listener = configuration.environment.runtime_dirs, find_listener(configuration)
        addresses = list_receiver_addresses(configuration)
        return [
            Reading("neighbours", "address", "the daemons of this host", lambda: read_neighbours(folders)),
            Reading("listener", "address", "the listener", lambda: read_listener(listener)),
            Reading("host", "host", "this host", self._read_host),
            Reading("receivers", "sinks", "the receivers", lambda: reach_receivers(addresses)),
            Reading("settings_problems", "sinks", "the sources and sinks", self._find_problems),
        ]  # fmt: skip

    async def _find_problems(self) -> tuple[str, ...]:
        return await asyncio.to_thread(self._find_problems_apart)

    def _find_problems_apart(self) -> tuple[str, ...]:
        """Set up all sources and sinks in a loop of their own: they look at files, which may hang."""
        with asyncio.Runner() as runner:
            runner.get_loop().set_default_executor(UnwaitedThreads())
            return tuple(runner.run(find_problems(self.configuration.settings)))

    async def _read_host(self) -> HostFacts:
        return await asyncio.to_thread(self._read_files)

    def _read_files(self) -> HostFacts:
        machine = self.machine
        is_local = is_redis_local(self.configuration)
        return HostFacts(
            open_files=tuple(map(str, list_open_files(self.configuration))),
            ignored_url=find_ignored_url(self.configuration),
            overcommit=machine.read_overcommit() if is_local else "",
            huge_pages=machine.read_huge_pages() if is_local else "",
            units=machine.compare_units({name: read_packaged(name) for name in UNITS}),
        )

    async def _look_at_processes(self, snapshot: Snapshot | None, examination: Examination) -> Examination:
        """Add what follows from both: the limits of the daemons here, and the disk of a Redis that is here."""
        host, server = examination.host, examination.server
        if host is not None and snapshot is not None:
            pids = [daemon.pid for daemon in snapshot.daemons if daemon.host == socket.gethostname()]
            host = replace(host, max_files=self.machine.read_max_files(pids))
        examination = replace(examination, host=host)
        if server is None or not server.folder or not is_redis_local(self.configuration):
            return examination
        folder = server.folder
        reading = Reading("disk", "host", "the disk of Redis", lambda: asyncio.to_thread(read_disk, folder))
        return await examine(examination, [reading], _DISK_S)

    async def _examine_redis(self, examination: Examination) -> tuple[Snapshot | None, Examination]:
        try:
            store = open_store(self.configuration, max_connections=_SOCKETS)
        except RfctlError as problem:
            return None, replace(examination, problem=problem)
        try:
            async with asyncio.timeout(_REDIS_S):
                try:
                    await store.check_layout()
                    snapshot = await self._take_snapshot(store)
                except KeyTakenError as problem:
                    return None, await self._find_taken(store, examination, problem)
                return snapshot, await examine(examination, self._list_redis_readings(store, snapshot))
        except RfctlError as problem:
            return None, replace(examination, problem=problem)
        except TimeoutError:
            return None, replace(examination, problem=_describe_silence(store))
        finally:
            await store.close()

    async def _find_taken(self, store: Store, examination: Examination, problem: RfctlError) -> Examination:
        """Find which keys hold a value of another kind; if none does any more, the problem stays."""
        taken = await store.survey.find_taken_keys(self.configuration.settings.sinks)
        return replace(examination, taken_keys=taken, problem=None if taken else problem)

    async def _take_snapshot(self, store: Store) -> Snapshot:
        settings = self.configuration.settings
        return await take_snapshot(
            store,
            list_configured_sinks(settings),
            limit=0,
            rights=build_store_rights(settings, store.db),
            allow_eviction=settings.redis.allow_eviction,
        )

    def _list_redis_readings(self, store: Store, snapshot: Snapshot) -> list[Reading]:
        """Return what is read from Redis besides the snapshot."""
        sinks = {name for daemon in snapshot.daemons for name in daemon.sinks} | set(
            self.configuration.settings.sinks
        )
        groups = {status.sink.group for status in snapshot.sinks}
        survey = store.survey

        async def find_elsewhere() -> tuple[Neighbour, ...]:
            return describe_elsewhere(await store.find_daemons_elsewhere(), snapshot.server)

        async def find_untried() -> list[WorkerEntry]:
            names = [status.sink.name for status in snapshot.sinks if status.sink.forwarded]
            return await survey.find_untried(names, snapshot.pending.groups)

        return [
            Reading("untried_entries", "sinks", "what sinks have read", find_untried),
            Reading("elsewhere", "address", "the other databases of Redis", find_elsewhere),
            Reading("server", "redis", "the load of Redis", survey.read_server_facts),
            Reading("worker_entries", "work", "what workers have read", lambda: survey.read_worker_entries(snapshot.workers())),
            Reading("taken_keys", "keys", "the kinds of our keys", lambda: survey.find_taken_keys(sinks)),
            Reading("stray", "keys", "the keys of Redis", lambda: survey.find_stray_keys(sinks, groups)),
        ]  # fmt: skip


def is_redis_local(configuration: Configuration) -> bool:
    """Say whether Redis is on this host."""
    url = configuration.settings.redis.url
    if url == EMBEDDED or url.startswith("unix:"):
        return True
    return (urlsplit(parse_redis_url(url).url).hostname or "localhost") in _LOOPBACK


def merge(examination: Examination, of_redis: Examination) -> Examination:
    """Return both halves as one."""
    facts = {
        name: getattr(of_redis, name)
        for name in (
            "problem",
            "elsewhere",
            "server",
            "worker_entries",
            "untried_entries",
            "stray",
            "taken_keys",
        )
    }
    return replace(examination, **facts, unfinished=examination.unfinished + of_redis.unfinished)


def _describe_silence(store: Store) -> RfctlError:
    address = store.address
    return RedisUnreachableError(
        f"Redis at {address.shown()} answers too slowly: not all within {duration(_REDIS_S * 1000)}",
        set_by=address.set_by,
        overrides=address.overrides,
        next="redis-cli slowlog get; redis-cli --latency",
    )
