"""The pool of redis-py behind a connection: from an address to sockets that say nothing by themselves."""

from __future__ import annotations

import inspect
from typing import Any

from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from rfctl import errors
from rfctl.model.redis_url import FORM, TlsFileError, check_tls_files, parse_redis_url
from rfctl.store.address import RedisAddress

ANONYMOUS: dict[str, Any] = (
    {"driver_info": None}
    if "driver_info" in inspect.signature(AbstractConnection.__init__).parameters
    else {"lib_name": None, "lib_version": None}
)
"""Lets redis-py send no CLIENT SETINFO: a user with few rights may not, and each socket would ask twice."""


def make_pool(address: RedisAddress, max_connections: int) -> BlockingConnectionPool:
    """Return a pool that repeats nothing. No socket is opened yet. Raises SettingsError for a URL that cannot be."""
    try:
        url = parse_redis_url(address.url)
        if url.is_tls:
            check_tls_files(url)
    except ValueError as problem:
        raise _wrong_url(address, problem) from None
    return BlockingConnectionPool.from_url(
        url.url,
        max_connections=max_connections,
        timeout=address.timeout_ms / 1000,
        socket_connect_timeout=address.connect_timeout_ms / 1000,
        socket_timeout=address.timeout_ms / 1000,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        **ANONYMOUS,
    )


def _wrong_url(address: RedisAddress, problem: ValueError) -> errors.SettingsError:
    if isinstance(problem, TlsFileError):
        setting, set_by = address.tls_origins.get(problem.option, ("redis.url", address.set_by))
        step = "name another file, or let this user read it"
        return errors.wrong_settings([f"{setting}: {problem} (set by {set_by})"], [set_by], next=step)
    lines = [f"redis.url: {problem} (set by {address.set_by})"]
    return errors.wrong_settings(lines, [address.set_by], next=FORM)
