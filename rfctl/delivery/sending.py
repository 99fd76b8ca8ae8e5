"""Sends one message to its sink, and names what went wrong."""

from __future__ import annotations

from rfctl.errors import (
    CredentialsRefusedError,
    GroupMissingError,
    KeyTakenError,
    ReplyError,
    RfctlError,
)
from rfctl.model.delivery import Delivery
from rfctl.sinks.contract import DeliveryError, Sink
from rfctl.sinks.redis import RedisSink
from rfctl.store import DeliveryQueue, StreamEntry


async def send(
    sink: Sink | RedisSink, deliveries: DeliveryQueue, entry: StreamEntry, delivery: Delivery
) -> str | None:
    """Send a message, once.

    Returns None; or if it was acknowledged in the same step, the id of the phone's next pending message ("": none). Raises
    DeliveryError, and RfctlError for our own Redis.
    """
    if isinstance(sink, RedisSink):
        write = sink.build_write(delivery, entry.fields or [])
        try:
            return await deliveries.write_and_acknowledge(entry, write)
        except GroupMissingError:
            raise
        except (
            KeyTakenError,
            CredentialsRefusedError,
            ReplyError,
        ) as problem:  # another may have another key
            raise DeliveryError(problem.fact) from None
    try:
        await sink.deliver(delivery)
    except DeliveryError:
        raise
    except RfctlError as problem:  # of a sink it says nothing about our Redis
        raise DeliveryError(problem.fact) from problem
    return None
