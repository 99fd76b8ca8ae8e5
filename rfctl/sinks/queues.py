"""A merged message as one job of a queue library: its id, its data, its queue, and the library itself.

The id is the same at every attempt, and every library accepts it. The data is of plain JSON types, whatever numbers a
stranger wrote into the metadata. A library may be missing.
"""

from __future__ import annotations

import json
import math
import re
from importlib import import_module
from types import ModuleType
from typing import Any

from rfctl.errors import SettingsError
from rfctl.model.delivery import Delivery
from rfctl.model.installation import build_extra_command
from rfctl.model.redis_url import FORM, check_tls_files, parse_redis_url
from rfctl.sinks.config import QueueConfig
from rfctl.sinks.contract import DeliveryError
from rfctl.sinks.payload import encode_payload, render_template
from rfctl.store.address import RedisAddress
from rfctl.store.reply_errors import explain_failure

KEEP_S = 86_400
"""How long a finished job, and with it its id, is remembered: a day covers a crash and a lost answer."""

_MAX_DIGITS = 4_000
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9_-]")


def build_job_id(sink: str, delivery: Delivery) -> str:
    """Return the job's id: never digits only, never with `:` (BullMQ), nothing but `A-Za-z0-9_-` (RQ).

    The sink and the instance id are in it. Two sinks, and two rfctl, may fill the same queue, and a library ignores a job
    whose id is there already.
    """
    parts = ("rfctl", sink, delivery.instance_id, delivery.id)
    return _NOT_IN_IDS.sub("-", "-".join([part for part in parts if part]))


def build_job_data(delivery: Delivery, config: QueueConfig) -> dict[str, Any]:
    """Return the payload as plain JSON types, for libraries that encode it themselves."""
    decoded: dict[str, Any] = _decode(encode_payload(delivery, config.shape, raw=config.raw).decode())
    return decoded


def render_queue_name(template: str, delivery: Delivery, *, without: str = "") -> str:
    """Return the queue of this message. Raises a final DeliveryError for an empty name, or one with `without` in it."""
    name = render_template(template, delivery)
    if not name.strip():
        raise DeliveryError(f"the queue template {template!r} gives this message an empty name", final=True)
    if without and without in name:
        raise DeliveryError(f"the queue name {name!r} has a {without!r}, which is not allowed", final=True)
    return name


def import_library(name: str, sink: str, type_: str) -> ModuleType:
    """Import what a sink of this type needs; raises SettingsError that says how to install it."""
    try:
        return import_module(name)
    except ImportError as problem:
        raise SettingsError(
            [f"sinks.{sink}.type: {type_} cannot be used: {problem}"], next=f"`{build_extra_command(type_)}`"
        ) from None


def build_address(sink: str, config: QueueConfig) -> RedisAddress:
    """Return where a sink's Redis is, for error texts."""
    return RedisAddress(config.url, f"sink {sink}", timeout_ms=config.timeout_ms)


def read_redis_url(sink: str, url: str) -> str:
    """Return a sink's URL in the form that redis-py reads. Raises SettingsError in words without its password."""
    try:
        parsed = parse_redis_url(url)
        check_tls_files(parsed)
    except ValueError as problem:
        raise SettingsError([f"sinks.{sink}.url: {problem}"], next=FORM) from None
    return parsed.url


def build_failure(problem: Exception, where: RedisAddress) -> DeliveryError:
    """Return what redis-py or the socket raised as a failed delivery, without secrets."""
    return DeliveryError(explain_failure(problem, where).fact)


def _integer(text: str) -> int | str:
    return int(text) if len(text) < _MAX_DIGITS else text  # Python refuses to read longer ones


def _finite(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text  # 1e400 is JSON, but no encoder writes infinity


_decode = json.JSONDecoder(parse_int=_integer, parse_float=_finite).decode
