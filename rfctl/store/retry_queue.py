"""Reads for an operator which messages wait for another attempt at a sink, and why.

The keys are those that lua/shared/delivery.lua writes. A few waiting phones are read: the cost does not grow with the
queue.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rfctl.store import replies
from rfctl.store.dead_letters import Attempt, decode_attempts
from rfctl.store.keys import ShardKeys, SinkKeys
from rfctl.store.stream_entry import parse_waiting_member

if TYPE_CHECKING:
    from rfctl.store.connection import Command, Connection

END = 25
"""A `RetryCause` is exact up to twice so many waiting phones a shard; else it covers both ends of the schedule."""


@dataclass(frozen=True, slots=True)
class RetryCause:
    """Why phones wait for a retry: the latest error, its time, and when the first of the errors was (steady Unix ms)."""

    error: str
    at_ms: int
    since_ms: int


async def read_retry_cause(
    connection: Connection, shard: ShardKeys, sink: str, step_ms: int = 0
) -> RetryCause | None:
    """Return why phones of a sink wait on one shard; None when no error is stored.

    The server's clock, by which attempts are written down, is `step_ms` ahead of the steady clock.
    """
    keys = shard.sink(sink)
    soonest, latest = await connection.calls(
        [("ZRANGE", keys.retry, 0, END - 1), ("ZRANGE", keys.retry, -END, -1)]
    )
    batch_keys = dict.fromkeys([*replies.texts(soonest), *replies.texts(latest)])
    firsts = await connection.calls([_first_command(keys, batch_key) for batch_key in batch_keys])
    ids = [parse_waiting_member(member) for first in firsts for member in replies.texts(first)]
    if not ids:
        return None
    histories = replies.array(await connection.call("HMGET", keys.attempts, *ids))
    return _find_cause(
        [attempt for history in histories for attempt in decode_attempts(replies.data(history))], step_ms
    )


def _find_cause(attempts: Sequence[Attempt], step_ms: int) -> RetryCause | None:
    if not attempts:
        return None
    last = max(attempts, key=lambda attempt: attempt.at_ms)
    first_ms = min(attempt.at_ms for attempt in attempts)
    return RetryCause(last.error, last.at_ms - step_ms, first_ms - step_ms)


def merge_causes(causes: Iterable[RetryCause | None]) -> RetryCause | None:
    """Return the cause over all shards: the latest error, and since when the first has failed."""
    present = [cause for cause in causes if cause is not None]
    if not present:
        return None
    last = max(present, key=lambda cause: cause.at_ms)
    return RetryCause(last.error, last.at_ms, min(cause.since_ms for cause in present))


def _first_command(keys: SinkKeys, batch_key: str) -> Command:
    return ("ZRANGEBYLEX", keys.waiting, *_lex_range(batch_key), "LIMIT", 0, 1)


def _lex_range(batch_key: str) -> tuple[str, str]:
    """Return the range in which the members of one batch key stand: `batch_key NUL id`."""
    return f"[{batch_key}\0", f"({batch_key}\1"
