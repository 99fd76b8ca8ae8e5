"""What one Redis server says of itself now: memory, clients, disk, how fast it answers, and its clock."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rfctl.errors import ReplyError, RightsMissingError
from rfctl.store import replies
from rfctl.store.server_info import parse_info

if TYPE_CHECKING:
    from rfctl.store.connection import Connection

_QUESTIONS = 20
_SETTINGS = ("appendfsync", "maxclients", "dir")


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """The server at one moment. Sizes are in bytes, times in ms; None is what it does not tell.

    `median_ms` is how long it takes to answer. `ahead_ms` is how far its clock is ahead of this host's, give or take
    `doubt_ms`. `folder` is where its files are, on its own host.
    """

    median_ms: float
    ahead_ms: float
    doubt_ms: float
    used_memory: int | None = None
    max_memory: int | None = None
    clients: int | None = None
    max_clients: int | None = None
    evicted_keys: int | None = None
    last_save_failed: bool = False
    last_rewrite_failed: bool = False
    fsync: str = ""
    replicas: int | None = None
    folder: str = ""


async def read_server_facts(
    connection: Connection, wall_clock: Callable[[], float] = time.time
) -> ServerFacts:
    """Ask the server; `wall_clock` is this host's (Unix s). Raises RfctlError."""
    info, settings = await _read_info(connection), await _read_settings(connection)
    samples = [await _ask_time(connection, wall_clock) for _ in range(_QUESTIONS)]
    ways = [way for way, _ in samples]
    shortest, ahead_ms = min(samples)
    return ServerFacts(
        median_ms=statistics.median(ways),
        ahead_ms=ahead_ms,
        doubt_ms=shortest / 2,
        used_memory=_number(info, "used_memory"),
        max_memory=_number(info, "maxmemory"),
        clients=_number(info, "connected_clients"),
        max_clients=_number(info, "maxclients") or _number(settings, "maxclients"),
        evicted_keys=_number(info, "evicted_keys"),
        last_save_failed=info.get("rdb_last_bgsave_status") == "err",
        last_rewrite_failed=info.get("aof_last_bgrewrite_status") == "err",
        fsync=settings.get("appendfsync", ""),
        replicas=_number(info, "connected_slaves"),
        folder=settings.get("dir", ""),
    )


async def _ask_time(connection: Connection, wall_clock: Callable[[], float]) -> tuple[float, float]:
    """Return how long the way to the server and back takes, and how far its clock is ahead, both ms."""
    began, began_at = time.perf_counter(), wall_clock()
    seconds, micros = replies.array(await connection.call("TIME"))
    way_ms = (time.perf_counter() - began) * 1000
    theirs_ms = replies.integer(seconds) * 1000 + replies.integer(micros) / 1000
    return way_ms, theirs_ms - (began_at * 1000 + way_ms / 2)


async def _read_info(connection: Connection) -> Mapping[str, str]:
    try:
        return parse_info(await connection.call("INFO"))
    except (RightsMissingError, ReplyError):
        return {}


async def _read_settings(connection: Connection) -> Mapping[str, str]:
    try:
        answers = await connection.calls([("CONFIG", "GET", name) for name in _SETTINGS])
    except (RightsMissingError, ReplyError):
        return {}
    return {name: replies.text(value) for answer in answers for name, value in replies.fields(answer).items()}


def _number(facts: Mapping[str, str], name: str) -> int | None:
    value = facts.get(name, "")
    return int(value) if value.isdigit() else None
