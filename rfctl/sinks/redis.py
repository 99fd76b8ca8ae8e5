"""Sinks in the same Redis: a list or another stream, filled in the very step that acknowledges. Exactly once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rfctl.sinks.contract import Delivery, encode, render_template


@dataclass(frozen=True, slots=True)
class RedisWrite:
    """What is written for one message: a list's value, or the fields of a stream's entry."""

    kind: Literal["list", "stream"]
    key: str
    values: Sequence[bytes | str]


class RedisSink:
    """A list of JSON, or a stream with the fields of the output stream and the `id`; `key` is a template."""

    def __init__(self, kind: Literal["list", "stream"], key: str) -> None:
        self._kind = kind
        self._key = key

    def push(self, delivery: Delivery, fields: list[bytes]) -> RedisWrite:
        """Return what is to be written for one message."""
        key = render_template(self._key, delivery)
        if self._kind == "list":
            return RedisWrite("list", key, [encode(delivery)])
        return RedisWrite("stream", key, ["id", delivery.id, *fields])
