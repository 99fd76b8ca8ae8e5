"""A forwarder inside a test: what it is given, what runs it, and what it leaves in Redis."""

from __future__ import annotations

import asyncio

from rfctl.delivery import RetryPolicy
from rfctl.delivery.forwarder import Forwarder
from rfctl.model.delivery import Delivery
from rfctl.model.message import Message
from rfctl.sinks.contract import DeliveryError, Sink
from rfctl.sinks.redis import RedisSink
from rfctl.store import replies
from rfctl.store.connection import Connection
from rfctl.store.deliveries import DeliveryQueue
from tests.support.batching import make_rig

PACE = RetryPolicy(retry_delays_ms=(60, 120), concurrency=4, max_sleep_ms=50, lease_ms=3000, finish_ms=2000)


async def hand_over(connection: Connection, *messages: tuple[str, str]) -> list[str]:
    """Put one merged message each into the output stream; returns their ids."""
    batches = make_rig(connection, max_size=1)
    await batches.add(
        [Message(phone=phone, text=text, id=text, channel="generic") for phone, text in messages]
    )
    return [merged.id for merged in await batches.collect()]


async def delivery_ids(connection: Connection) -> list[str]:
    """The ids by which receivers know all merged messages, in the order of the output stream."""
    return [merged.delivery_id for merged in await make_rig(connection).collect()]


def deliveries(connection: Connection, shard: int = 0) -> DeliveryQueue:
    return DeliveryQueue(connection, make_rig(connection).shards[shard], "bot")


class Receiver:
    """A sink that takes everything, or says what it is told to say."""

    def __init__(self, says: DeliveryError | None = None) -> None:
        self.says = says
        self.got: list[str] = []

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def deliver(self, delivery: Delivery) -> None:
        if self.says is not None:
            raise self.says
        self.got.append(delivery.merged.text)


class Running:
    """A forwarder that runs until the test says otherwise."""

    def __init__(self, connection: Connection, sink: Sink | RedisSink, pace: RetryPolicy, who: str) -> None:
        self.stopping = asyncio.Event()
        self.task = asyncio.create_task(Forwarder(deliveries(connection), sink, pace, who).run(self.stopping))

    async def stop(self) -> None:
        self.stopping.set()
        await self.task


async def left(connection: Connection) -> tuple[int, int, int, int, int]:
    """What is still known of deliveries: unacknowledged, waiting, held, tries, bodies."""
    keys = make_rig(connection).shards[0].sink("bot")
    groups = await connection.call("XINFO", "GROUPS", "rfctl:out")
    return (
        replies.integer(replies.facts(groups[0])["pending"]) if groups else -1,
        await connection.call("ZCARD", keys.waiting),
        await connection.call("ZCARD", keys.retry),
        await connection.call("HLEN", keys.attempts),
        await connection.call("HLEN", keys.bodies),
    )


async def settled(connection: Connection) -> bool:
    return await left(connection) == (0, 0, 0, 0, 0)
