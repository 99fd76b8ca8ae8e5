"""One person's messages keep their order, also when answers of Redis come late on their sockets."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rfctl.delivery import RetryPolicy
from rfctl.delivery.forwarder import Forwarder
from rfctl.errors import RedisUnreachableError
from rfctl.model.delivery import Delivery
from rfctl.sinks.contract import DeliveryError
from rfctl.store.batch_keys import batch_key_of
from rfctl.store.connection import Connection
from rfctl.store.deliveries import DeliveryQueue
from tests.support.batching import make_rig
from tests.support.forwarding import hand_over, settled
from tests.support.keys import SHARD
from tests.support.servers import ServerMaker, patient_address
from tests.support.waiting import until

POLICY = RetryPolicy((200,), max_sleep_ms=50)


async def deliver_all(deliveries: DeliveryQueue, sink: Any, done: Any) -> None:
    stopping = asyncio.Event()
    task = asyncio.create_task(Forwarder(deliveries, sink, POLICY, "daemon").run(stopping))
    await until(done)
    stopping.set()
    await task


async def test_message_arriving_during_a_retry_waits_behind_it(connection: Connection) -> None:
    trying, deferred = asyncio.Event(), asyncio.Event()
    attempts: list[str] = []

    class Late(DeliveryQueue):
        async def defer(self, entries: Any) -> Any:
            answers = await super().defer(entries)
            if any(entry.merged.text == "B" for entry in entries):
                deferred.set()
                for _ in range(20):  # the answer from before the failure arrives after it: 20 answers later
                    await self.is_paused()
            return answers

    class Sink:
        async def deliver(self, delivery: Delivery) -> None:
            attempts.append(delivery.merged.text)
            if len(attempts) == 1:
                trying.set()
                await deferred.wait()
                raise DeliveryError("no")

    async def done() -> bool:
        if trying.is_set() and not sent:
            sent.extend(await hand_over(connection, ("7", "B")))
        return len(attempts) == 3 and await settled(connection)

    sent: list[str] = []
    await hand_over(connection, ("7", "A"))
    await deliver_all(Late(connection, make_rig(connection).shards[0], "bot"), Sink(), done)
    assert attempts == ["A", "A", "B"]


async def test_long_phone_queue_keeps_its_order(connection: Connection) -> None:
    order: list[str] = []
    deferred: list[int] = []

    class Slow(DeliveryQueue):
        async def defer(self, entries: Any) -> Any:
            answers = await super().defer(entries)
            deferred.append(len(entries))
            await asyncio.sleep(0)  # as a late answer, it lets the deliveries go on
            return answers

    class Sink:
        async def deliver(self, delivery: Delivery) -> None:
            await asyncio.sleep(0)
            order.append(delivery.merged.text)

    async def done() -> bool:
        return len(order) == 30 and await settled(connection)

    await hand_over(connection, *(("7", f"{n}") for n in range(30)))
    await deliver_all(Slow(connection, make_rig(connection).shards[0], "bot"), Sink(), done)
    assert order == [f"{n}" for n in range(30)]
    assert deferred


@pytest.mark.parametrize("verb", ["unread", "defer"])
async def test_entries_read_while_redis_fails_are_delivered_first_and_soon(
    connection: Connection, verb: str
) -> None:
    order: list[str] = []

    class Failing(DeliveryQueue):
        async def read_new(self, limit: Any, block_ms: Any, daemon_id: Any) -> Any:
            entries = await super().read_new(limit, block_ms, daemon_id)
            self.fail("unread", entries or [])
            return entries

        async def defer(self, entries: Any) -> Any:
            self.fail("defer", entries)
            return await super().defer(entries)

        def fail(self, where: Any, entries: Any) -> None:
            if where == verb and [entry.merged.text for entry in entries] == ["A"] and not failed:
                failed.append(where)
                raise RedisUnreachableError("the answer was lost")

    class Sink:
        async def deliver(self, delivery: Delivery) -> None:
            order.append(delivery.merged.text)

    async def done() -> bool:
        if failed and not later:
            later.extend(await hand_over(connection, ("7", "B")))
        return len(order) == 2 and await settled(connection)

    failed: list[str] = []
    later: list[str] = []
    await hand_over(connection, ("7", "A"))
    await deliver_all(Failing(connection, make_rig(connection).shards[0], "bot"), Sink(), done)
    assert (order, failed) == (["A", "B"], [verb])


async def test_company_whose_receiver_fails_does_not_hold_up_another_of_the_same_person(
    connection: Connection,
) -> None:
    delivered: list[str] = []

    class Sink:
        async def deliver(self, delivery: Delivery) -> None:
            if delivery.merged.company == "1":
                raise DeliveryError("no")
            delivered.append(delivery.merged.text)

    async def done() -> bool:
        return len(delivered) == 2

    for company, text in (("1", "a"), ("2", "b"), ("1", "c"), ("2", "d")):
        fields = (
            "phone",
            "7",
            "company",
            company,
            "text",
            text,
            "batch_key",
            batch_key_of("7", company=company),
        )
        await connection.call("XADD", SHARD.out, "*", *fields)
    await deliver_all(DeliveryQueue(connection, SHARD, "bot"), Sink(), done)
    assert delivered == ["b", "d"]


async def test_full_redis_still_delivers_its_messages(own_server: ServerMaker) -> None:
    server = own_server("--maxmemory-policy", "noeviction")
    connection = Connection.open(patient_address(server.url))
    order: list[str] = []

    class Sink:
        async def deliver(self, delivery: Delivery) -> None:
            order.append(delivery.merged.text)

    async def done() -> bool:
        return order == ["A"] and await settled(connection)

    await hand_over(connection, ("7", "A"))
    deliveries = DeliveryQueue(connection, make_rig(connection).shards[0], "bot")
    await deliveries.open()
    await connection.call("CONFIG", "SET", "maxmemory", 1)
    await deliver_all(deliveries, Sink(), done)
    await connection.close()
