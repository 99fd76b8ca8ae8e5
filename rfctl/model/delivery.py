"""One merged message on its way to a receiver, or into the same Redis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rfctl.model.closed_sets import RedisType
from rfctl.model.stored import Merged


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt: the merged message, the id that is the same at every attempt, and its number, from 1.

    `instance_id` names the Redis that the message comes from: ids are unique there only. `traceparent` is the trace that
    this attempt is a part of, or "".
    """

    id: str
    merged: Merged
    attempt: int = 1
    instance_id: str = ""
    traceparent: str = ""


MAX_VALUES = 7000
"""So many values a script can pass on to one command; Lua ends at 7,999."""


@dataclass(frozen=True, slots=True)
class RedisWrite:
    """What one message writes into the same Redis: a list's value, or a stream entry's names and values in turn.

    There are at most `MAX_VALUES`.
    """

    kind: RedisType
    key: str
    values: Sequence[bytes | str]


def build_message_id(entry_id: str, shard: str) -> str:
    """Return the id by which receivers know a merged message: its entry's id, with the shard's number behind it."""
    return f"{entry_id}-{shard}" if shard else entry_id
