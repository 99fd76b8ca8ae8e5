"""Sinks in the same Redis: a list or another stream, written in the step that acknowledges. Exactly once."""

from __future__ import annotations

from typing import Literal

from rfctl.model.delivery import MAX_VALUES, Delivery, RedisWrite
from rfctl.sinks.contract import DeliveryError
from rfctl.sinks.payload import Shape, encode_payload, render_template
from rfctl.sinks.redis.config import ListConfig, StreamConfig


class RedisSink:
    """A list of JSON, or a stream with the fields of the output stream and the `id`; `key` is a template."""

    def __init__(
        self, kind: Literal["list", "stream"], key: str, shape: Shape = "rfctl", *, raw: bool = False
    ) -> None:
        self._kind = kind
        self._key = key
        self._shape = shape
        self._raw = raw

    def build_write(self, delivery: Delivery, fields: list[bytes]) -> RedisWrite:
        """Return what one message writes; the delivery queue writes it and acknowledges, in one step.

        Raises a final DeliveryError for an entry of another program with more fields than one step can copy.
        """
        key = render_template(self._key, delivery)
        if self._kind == "list":
            return RedisWrite("list", key, [encode_payload(delivery, self._shape, raw=self._raw)])
        if len(fields) + 2 > MAX_VALUES:
            fact = f"it has {len(fields) // 2} fields, and a stream sink copies at most {MAX_VALUES // 2 - 1}"
            raise DeliveryError(fact, final=True)
        return RedisWrite("stream", key, ["id", delivery.id, *fields])


def build_list(name: str, config: ListConfig) -> RedisSink:  # noqa: ARG001 - its name is in nothing that it writes
    """Return the sink of a list."""
    return RedisSink("list", config.key, config.shape, raw=config.raw)


def build_stream(name: str, config: StreamConfig) -> RedisSink:  # noqa: ARG001
    """Return the sink of a stream."""
    return RedisSink("stream", config.key)
