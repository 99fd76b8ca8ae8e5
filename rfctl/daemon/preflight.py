"""The check whether this Redis may be used, at the start and until Redis answers.

Nothing is stored before it passes. A Redis that evicts keys would lose messages. A Redis that is laid out for another
number of shards would hide them.
"""

from __future__ import annotations

import asyncio

import structlog

from rfctl.errors import EvictingRedisError, OtherLayoutError, RfctlError
from rfctl.store import ServerInfo, Store
from rfctl.timing import sleep_or_stop

_log = structlog.get_logger("daemon")
_MAX_RETRY_S = 2.0


def check_eviction(server: ServerInfo, *, allowed: bool) -> None:
    """Raise EvictingRedisError if this Redis deletes keys when its memory is full, unless that is `allowed`."""
    if server.eviction != "noeviction" and not allowed:
        raise EvictingRedisError(
            f"Redis at {server.where} may delete messages when its memory is full: "
            f"maxmemory-policy is {server.eviction}",
            set_by=server.set_by,
            next="CONFIG SET maxmemory-policy noeviction (and in redis.conf), or set redis.allow_eviction",
        )


def _log_unavailable(problem: RfctlError) -> None:
    """Log why nothing can be stored yet, and what to do."""
    _log.error(
        "redis_unavailable", component="preflight",
        problem=problem.fact, set_by=problem.set_by, overrides=problem.overrides,
        next=f"waiting for it: {problem.next}",
    )  # fmt: skip


class Preflight:
    """Checks one Redis; `usable` is set once it may be used."""

    def __init__(self, store: Store, *, allow_eviction: bool) -> None:
        self._store = store
        self._allow_eviction = allow_eviction
        self.usable = asyncio.Event()

    @property
    def passed(self) -> bool:
        """Whether this Redis may be used."""
        return self.usable.is_set()

    async def check(self) -> None:
        """Check once, and claim the layout of this Redis. Raises RfctlError if it must not be used, or does not answer."""
        server = await self._store.server_info()
        check_eviction(server, allowed=self._allow_eviction)
        await self._store.claim_layout()
        if not server.aof:
            _log.warning(
                "persistence_disabled",
                redis=server.line(),
                next="CONFIG SET appendonly yes: a restart of Redis loses messages",
            )
        self.usable.set()
        overrides = self._store.address.overrides
        _log.info("redis_connected", redis=server.line(), set_by=server.set_by, overrides=overrides)

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
            except (EvictingRedisError, OtherLayoutError):
                raise
            except RfctlError as next_problem:
                failures += 1
                if type(next_problem) is not type(
                    problem
                ):  # for instance, it answers now and refuses our password
                    _log_unavailable(next_problem)
                problem = next_problem
        _log.info("redis_recovered", failures=failures)
