"""From the settings to the parts: what the daemon and the operator's commands both build."""

from __future__ import annotations

from pathlib import Path

from rfctl.batches import Batches, Rules
from rfctl.connection import Connection, Server
from rfctl.embedded import find
from rfctl.errors import EvictingRedisError
from rfctl.keys import Keyspace
from rfctl.layers import Configuration
from rfctl.policy import Timers
from rfctl.settings import EMBEDDED, Settings


def rules_of(settings: Settings) -> Rules:
    """Return what the scripts are told."""
    batching = settings.batching
    return Rules(
        timers=Timers(batching.quiet_ms, batching.max_size, batching.max_wait_ms),
        separator=batching.separator,
        order=batching.order,
        dedupe_s=batching.dedupe_s,
        stale_ms=batching.stale_ms,
    )


def open_batches(configuration: Configuration, connection: Connection) -> Batches:
    """Return the batches that these settings name."""
    settings = configuration.settings
    keyspace = Keyspace(settings.redis.shards, settings.output.stream)
    return Batches(connection, keyspace, rules_of(settings))


def embedded_folder(configuration: Configuration) -> Path:
    """Return the state folder of the embedded store."""
    chosen = configuration.settings.redis.embedded_dir
    return Path(chosen) if chosen else configuration.environment.state_dir


def check_eviction(server: Server, *, allowed: bool) -> None:
    """Refuse a Redis that deletes keys when its memory is full. Raises EvictingRedisError."""
    if server.eviction != "noeviction" and not allowed:
        raise EvictingRedisError(
            f"Redis at {server.where} may delete messages when its memory is full: "
            f"maxmemory-policy is {server.eviction}",
            set_by=server.set_by,
            next="CONFIG SET maxmemory-policy noeviction (and in redis.conf), or set redis.allow_eviction",
        )


def connect(configuration: Configuration) -> Connection:
    """Return a command's connection; an embedded store must already run. Raises StoreError."""
    url = None
    if configuration.settings.redis.url == EMBEDDED:
        url = find(embedded_folder(configuration)).url
    return Connection.open(configuration.address(url), most=2)
