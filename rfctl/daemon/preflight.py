"""The check whether this Redis may be used, at the start and until Redis answers.

Nothing is stored before it passes. A Redis that evicts keys would lose messages. A Redis that is laid out for another
number of shards would hide them. A user without some right would leave a script half-way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from rfctl.errors import (
    ClusterNodeError,
    EvictingRedisError,
    KeyTakenError,
    OtherLayoutError,
    RedisCannotNowError,
    RfctlError,
    SettingsConflictError,
)
from rfctl.store import DaemonRecord, ServerInfo, Store
from rfctl.store.probe import MissingRight, check_needed, find_user
from rfctl.store.rights import Rights
from rfctl.timing import sleep_or_stop

_log = structlog.get_logger("daemon")
_MAX_RETRY_S = 2.0
_FINAL = (ClusterNodeError, EvictingRedisError, KeyTakenError, OtherLayoutError, SettingsConflictError)
"""What no waiting mends."""


def check_eviction(server: ServerInfo, *, allowed: bool) -> None:
    """Raise EvictingRedisError if this Redis deletes messages when its memory is full, unless that is `allowed`."""
    if server.may_evict_messages and not allowed:
        raise EvictingRedisError(
            f"Redis at {server.where} may delete messages when its memory is full: "
            f"maxmemory-policy is {server.eviction}",
            set_by=server.set_by,
            next="CONFIG SET maxmemory-policy noeviction (and in redis.conf), or set redis.allow_eviction",
        )


def check_role(server: ServerInfo) -> None:
    """Raise ClusterNodeError for a node of a cluster, and RedisCannotNowError for a replica."""
    if server.is_cluster_node:
        raise ClusterNodeError(
            f"Redis at {server.where} is a node of a cluster: it has only a part of the keys",
            set_by=server.set_by,
            next="use a Redis or Valkey without cluster_enabled; rfctl does not spread over a cluster yet",
        )
    if server.master:
        raise RedisCannotNowError(
            f"Redis at {server.where} is a replica of {server.master}: what is written there is lost or refused",
            code="READONLY",
            set_by=server.set_by,
            next="point redis.url at its master; `redis-cli info replication` names it",
        )


def _log_unavailable(problem: RfctlError) -> None:
    """Log why nothing can be stored yet, and what to do."""
    _log.error(
        "redis_unavailable", component="preflight",
        problem=problem.fact, set_by=problem.set_by, overrides=problem.overrides,
        next=f"waiting for it: {problem.next}",
    )  # fmt: skip


class Preflight:
    """Checks one Redis; `usable` is set once it may be used.

    `rights` are what our user needs, None to leave them unchecked. `sinks` are the names of the sinks. No living
    daemon may run on settings that `record` does not go with, unless it is None.
    """

    def __init__(
        self,
        store: Store,
        *,
        allow_eviction: bool,
        rights: Rights | None = None,
        sinks: Sequence[str] = (),
        record: DaemonRecord | None = None,
    ) -> None:
        self._store = store
        self._allow_eviction = allow_eviction
        self._rights = rights
        self._sinks = sinks
        self._record = record
        self.usable = asyncio.Event()
        self.run_id = "?"
        """The run id of the server, as it was seen last."""
        self.problem: RfctlError | None = None
        """Why it has not passed; None before the first check, and since it has passed."""

    @property
    def passed(self) -> bool:
        """Whether this Redis may be used."""
        return self.usable.is_set()

    async def check(self) -> None:
        """Check once, and claim the layout of this Redis. Raises RfctlError if it must not be used, or does not answer."""
        try:
            server = await self._check()
        except RfctlError as problem:
            self.problem = problem
            raise
        self.problem = None
        self.run_id = server.run_id
        self.usable.set()
        overrides = self._store.address.overrides
        _log.info("redis_connected", redis=server.line(), set_by=server.set_by, overrides=overrides)

    async def _check(self) -> ServerInfo:
        """Check everything that needs no write first. Raises RfctlError."""
        server = await self._store.server_info()
        check_role(server)
        check_eviction(server, allowed=self._allow_eviction)
        await self._store.check_claimable_layout()
        check_needed_rights(self._store, await self.find_missing_rights())
        await self._store.load_scripts()
        await self._store.check_key_types(self._sinks)
        if self._record is not None:
            check_peers(self._record, await self._store.daemons.list_alive())
        await self._store.claim_layout()
        if server.aof is False:
            _log.warning(
                "persistence_disabled",
                redis=server.line(),
                next="CONFIG SET appendonly yes: a restart of Redis loses messages",
            )
        return server

    async def find_missing_rights(self) -> list[MissingRight]:
        """Return the rights that our user lacks. Raises RfctlError."""
        return [] if self._rights is None else await self._store.find_missing_rights(self._rights)

    async def check_until_passed(self, stopping: asyncio.Event, problem: RfctlError) -> None:
        """Check until it passes; `problem` is why it did not. Raises RfctlError if Redis answers and must not be used."""
        wait_s, failures = 0.1, 1
        _log_unavailable(problem)
        while not self.passed:
            await sleep_or_stop(stopping, wait_s)
            if stopping.is_set():
                return
            wait_s = min(wait_s * 2, _MAX_RETRY_S)
            try:
                await self.check()
            except _FINAL:
                raise
            except RfctlError as next_problem:
                failures += 1
                if type(next_problem) is not type(
                    problem
                ):  # for instance, it answers now and refuses our password
                    _log_unavailable(next_problem)
                problem = next_problem
        _log.info("redis_recovered", failures=failures)


def check_needed_rights(store: Store, missing: Sequence[MissingRight]) -> None:
    """Raise RightsMissingError if our user lacks a right that messages depend on."""
    address = store.address
    check_needed(missing, address.shown(), find_user(address.url), address.set_by)


def check_peers(record: DaemonRecord, alive: Sequence[DaemonRecord]) -> None:
    """Raise SettingsConflictError if a living daemon runs on settings that ours do not go with."""
    for other in alive:
        if record.is_rolling_out or other.is_rolling_out:
            continue
        differences = record.find_conflicts(other)
        if other.id != record.id and differences:
            raise SettingsConflictError(
                f"the daemon on {other.host}, pid {other.pid}, uses this Redis with other settings: {'; '.join(differences)}",
                next="use the same settings, another redis.prefix or another database; "
                "or, to change them on all daemons one after another, rfctl serve --rollout",
            )
