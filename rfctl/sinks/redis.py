"""Sinks in the same Redis: a list or another stream, filled in the very step that acknowledges. Exactly once."""

from __future__ import annotations

from typing import Literal

from rfctl.model.delivery import Delivery, RedisWrite
from rfctl.sinks.contract import encode, render_template


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
