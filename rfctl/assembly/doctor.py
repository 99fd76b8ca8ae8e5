"""From the settings to a diagnosis: what is to be looked at, all of it side by side, within seconds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from rfctl import __version__
from rfctl.assembly.rights import build_store_rights
from rfctl.assembly.sinks import list_configured_sinks
from rfctl.assembly.store import build_keyspace, open_store
from rfctl.config.fingerprint import compute_fingerprint
from rfctl.config.loader import Configuration
from rfctl.errors import RedisUnreachableError, RfctlError
from rfctl.observe import Snapshot, take_snapshot
from rfctl.observe.diagnosis import Diagnosis, diagnose
from rfctl.observe.examination import Examination, Reading, examine
from rfctl.observe.facts import Shell, read_neighbours
from rfctl.store import Store
from rfctl.text import duration, mask_url

_REDIS_S = 4.0
"""How long all questions to Redis may take together: then it counts as not reached."""


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
    )


def find_listener(configuration: Configuration) -> str:
    """Return where a daemon with these settings listens on this host: unix:/path, or host:port."""
    http = configuration.settings.http
    if http.host.startswith("unix:"):
        return http.host
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(http.host, http.host)  # noqa: S104 - it is only compared
    return f"[{host}]:{http.port}" if ":" in host else f"{host}:{http.port}"


@dataclass(frozen=True, slots=True)
class Doctor:
    """Looks at everything once, and writes nothing."""

    configuration: Configuration

    async def diagnose(self) -> Diagnosis:
        """Return the diagnosis. No failure of Redis, of a receiver or of a check is raised: each is a finding."""
        examination = Examination(shell=build_shell(self.configuration))
        (snapshot, of_redis), of_host = await asyncio.gather(
            self._examine_redis(examination), examine(examination, self._list_host_readings())
        )
        return diagnose(snapshot, _merge(of_host, of_redis))

    def _list_host_readings(self) -> list[Reading]:
        folders, listener = self.configuration.environment.runtime_dirs, find_listener(self.configuration)
        return [
            Reading(
                "neighbours",
                "address",
                "the daemons of this host",
                lambda: read_neighbours(folders, listener),
            )
        ]

    async def _examine_redis(self, examination: Examination) -> tuple[Snapshot | None, Examination]:
        try:
            store = open_store(self.configuration, max_connections=4)
        except RfctlError as problem:
            return None, replace(examination, problem=problem)
        try:
            async with asyncio.timeout(_REDIS_S):
                await store.check_layout()
                return await self._take_snapshot(store), examination
        except RfctlError as problem:
            return None, replace(examination, problem=problem)
        except TimeoutError:
            return None, replace(examination, problem=_describe_silence(store))
        finally:
            await store.close()

    async def _take_snapshot(self, store: Store) -> Snapshot:
        settings = self.configuration.settings
        return await take_snapshot(
            store,
            list_configured_sinks(settings),
            limit=0,
            rights=build_store_rights(settings, store.db),
            allow_eviction=settings.redis.allow_eviction,
        )


def _merge(examination: Examination, of_redis: Examination) -> Examination:
    return replace(
        examination, problem=of_redis.problem, unfinished=examination.unfinished + of_redis.unfinished
    )


def _describe_silence(store: Store) -> RfctlError:
    address = store.address
    return RedisUnreachableError(
        f"Redis at {address.shown()} answers too slowly: not all within {duration(_REDIS_S * 1000)}",
        set_by=address.set_by,
        overrides=address.overrides,
        next="redis-cli slowlog get; redis-cli --latency",
    )
