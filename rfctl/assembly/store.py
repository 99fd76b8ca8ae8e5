"""From the settings to the parts: what the daemon and the operator's commands both build."""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

from rfctl import __version__
from rfctl.assembly.sources import dedupe_s
from rfctl.batching.policy import Policy, Rule, Timers, comparable_prefix, comparable_text, compile_pattern
from rfctl.config.loader import Configuration
from rfctl.config.rules import RuleSettings
from rfctl.config.settings import EMBEDDED, Settings
from rfctl.errors import OtherShardsError
from rfctl.store.batches import Batches, Rules
from rfctl.store.connection import Connection
from rfctl.store.daemons import DaemonRecord
from rfctl.store.embedded import find_embedded
from rfctl.store.keys import SHARDS, Keyspace


def rules_of(settings: Settings) -> Rules:
    """Return what the scripts are told."""
    batching = settings.batching
    return Rules(
        policy=policy_of(settings),
        separator=batching.separator,
        order=batching.order,
        dedupe_s=batching.dedupe_s,
        overdue_ms=batching.overdue_ms,
        key=frozenset(batching.split_by),
        source_dedupe_s=dedupe_s(settings),
    )


def policy_of(settings: Settings) -> Policy:
    """Return how long messages wait: the rules as they stand in the settings, then each source's own timers."""
    batching = settings.batching
    rules = [_rule(name, one) for name, one in settings.rules.items()]
    own = [
        Rule(
            f"source {name}", sources=frozenset({name}),
            quiet_ms=one.quiet_ms, max_size=one.max_size, max_wait_ms=one.max_wait_ms,
        )
        for name, one in settings.sources.items()
    ]  # fmt: skip
    return Policy(Timers(batching.quiet_ms, batching.max_size, batching.max_wait_ms), (*rules, *own))


def _rule(name: str, one: RuleSettings) -> Rule:
    return Rule(
        name=name,
        sources=frozenset(one.sources),
        companies=frozenset(one.companies),
        accounts=frozenset(one.accounts),
        types=frozenset(one.types),
        words=frozenset(comparable_text(word) for word in one.words),
        prefixes=tuple(comparable_prefix(prefix) for prefix in one.prefixes),
        patterns=tuple(compile_pattern(pattern) for pattern in one.patterns),
        action="" if one.action == "wait" else one.action,
        quiet_ms=one.quiet_ms,
        max_size=one.max_size,
        max_wait_ms=one.max_wait_ms,
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


async def check_shards(connection: Connection, shards: int) -> None:
    """Refuse a Redis that is laid out for another number of shards. Raises OtherShardsError."""
    found = await connection.call("GET", SHARDS)
    if found is not None and found != str(shards).encode():
        raise OtherShardsError(
            f"Redis at {connection.address.shown()} is laid out for redis.shards = {found.decode()}, not {shards}",
            set_by=connection.address.set_by,
            next=f"set redis.shards to {found.decode()}; or, while nothing is pending, DEL {SHARDS} and start anew",
        )


def connect(configuration: Configuration) -> Connection:
    """Return a command's connection; an embedded store must already run. Raises StoreError."""
    url = None
    if configuration.settings.redis.url == EMBEDDED:
        url = find_embedded(embedded_folder(configuration)).url
    return Connection.open(configuration.address(url), most=2)


def describe(settings: Settings, daemon_id: str, listener: str) -> DaemonRecord:
    """Return the line by which a daemon makes itself known to other shells."""
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
    )
