"""Whether this Redis may be used at all: asked at the start, and until it answers.

Nothing is stored before it has passed: one that evicts keys would lose messages, and one that is laid out for
another number of shards would hide them.
"""

from __future__ import annotations

import asyncio

import structlog

from rfctl.assembly.store import check_shards
from rfctl.errors import EvictingRedisError, OtherShardsError, RfctlError
from rfctl.store.connection import Connection
from rfctl.store.keys import SHARDS
from rfctl.store.server_info import ServerInfo
from rfctl.timing import sleep_or_stop

_log = structlog.get_logger("vetting")
_RETRY_MOST_S = 2.0


def check_eviction(server: ServerInfo, *, allowed: bool) -> None:
    """Refuse a Redis that deletes keys when its memory is full. Raises EvictingRedisError."""
    if server.eviction != "noeviction" and not allowed:
        raise EvictingRedisError(
            f"Redis at {server.where} may delete messages when its memory is full: "
            f"maxmemory-policy is {server.eviction}",
            set_by=server.set_by,
            next="CONFIG SET maxmemory-policy noeviction (and in redis.conf), or set redis.allow_eviction",
        )


async def claim_shards(connection: Connection, shards: int) -> None:
    """Write down the number of shards at the first start; hold every later one to it."""
    if (
        await connection.call("GET", SHARDS) is None
    ):  # a full Redis refuses a SET also where it would change nothing
        await connection.call("SET", SHARDS, shards, "NX")
    await check_shards(connection, shards)


def _say_waiting(problem: RfctlError) -> None:
    """Log why nothing is stored yet, and what to do."""
    _log.error(
        "redis_away", problem=problem.fact, set_by=problem.set_by, next=f"waiting for it: {problem.next}"
    )


class Preflight:
    """Asks one Redis; `passed` says whether it may be used."""

    def __init__(self, connection: Connection, *, allow_eviction: bool, shards: int) -> None:
        self._connection = connection
        self._allow_eviction = allow_eviction
        self._shards = shards
        self.passed = False

    async def once(self) -> None:
        """Ask once. Raises RfctlError when it must not be used, or does not answer."""
        server = await self._connection.server()
        check_eviction(server, allowed=self._allow_eviction)
        await claim_shards(self._connection, self._shards)
        if not server.aof:
            _log.warning(
                "aof_off",
                redis=server.line(),
                next="CONFIG SET appendonly yes: a restart of Redis loses messages",
            )
        self.passed = True
        _log.info(
            "redis", redis=server.line(), set_by=server.set_by, overrides=self._connection.address.overrides
        )

    async def until_passed(self, stopping: asyncio.Event, problem: RfctlError) -> None:
        """Ask until it passes; `problem` is why it did not. Raises RfctlError when it answers and must not be used."""
        wait_s = 0.1
        _say_waiting(problem)
        while not self.passed:
            await sleep_or_stop(stopping, wait_s)
            if stopping.is_set():
                return
            wait_s = min(wait_s * 2, _RETRY_MOST_S)
            try:
                await self.once()
            except (EvictingRedisError, OtherShardsError):
                raise
            except RfctlError as other:
                if type(other) is not type(problem):  # it is there again, and refuses our password
                    _say_waiting(other)
                problem = other
        _log.info("redis_back")
