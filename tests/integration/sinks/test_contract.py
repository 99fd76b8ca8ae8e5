"""One contract for every sink: once when all is well, the same id after a crash, order, patience, and an end."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from structlog.testing import capture_logs

from rfctl.config.environment import Environment
from rfctl.config.loader import load
from rfctl.delivery import RetryPolicy
from rfctl.model.delivery import Delivery
from rfctl.model.message import Message
from rfctl.sinks.contract import DeliveryError, Sink
from rfctl.sinks.redis import RedisSink
from rfctl.store.address import RedisAddress
from rfctl.store.connection import Connection
from rfctl.store.deliveries import DeliveryQueue
from rfctl.store.stream_entry import StreamEntry
from tests.conftest import running
from tests.support.batching import make_rig
from tests.support.forwarding import (
    PACE,
    Receiver,
    Running,
    deliveries,
    delivery_ids,
    hand_over,
    left,
    settled,
)
from tests.support.outlets import IN_THE_SAME_REDIS, KINDS, ONCE, FailingOutlet, Outlet, Stubborn, outlet
from tests.support.receivers import HttpReceiver
from tests.support.servers import RedisServer, ServerMaker
from tests.support.waiting import PATIENCE_S, until


@pytest.fixture(params=KINDS)
async def out(
    request: Any, connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Outlet]:
    async with outlet(request.param, connection, tmp_path, monkeypatch) as opened:
        yield opened


@pytest.fixture(params=[kind for kind in KINDS if kind not in IN_THE_SAME_REDIS])
async def failing(
    request: Any, connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[FailingOutlet]:
    """A sink that can be made to fail; a list or stream in the same Redis fails only with its key."""
    async with outlet(request.param, connection, tmp_path, monkeypatch) as opened:
        assert isinstance(opened.sink, Stubborn)
        yield FailingOutlet(opened.sink, opened.taken)


class Forward(Protocol):
    def __call__(self, sink: Sink | RedisSink, pace: RetryPolicy = PACE, who: str = "one") -> Running: ...


@pytest.fixture
async def forward(connection: Connection) -> AsyncIterator[Forward]:
    """Starts forwarders; none of them outlives its test, not even one that failed."""
    runs: list[Running] = []

    def start(sink: Sink | RedisSink, pace: RetryPolicy = PACE, who: str = "one") -> Running:
        runs.append(Running(connection, sink, pace, who))
        return runs[-1]

    yield start
    for run in runs:
        await run.stop()


async def taken(out: Outlet | FailingOutlet, count: int) -> list[dict[str, Any]]:
    async def enough() -> Any:
        payloads = await out.taken()
        return payloads if len(payloads) >= count else None

    value: list[dict[str, Any]] = await until(enough)
    return value


async def test_sink_delivers_once_and_in_order(connection: Connection, out: Outlet, forward: Forward) -> None:
    texts = [(f"7{n % 3}", f"{n}") for n in range(24)]
    await hand_over(connection, *texts)
    ids = await delivery_ids(connection)
    running = forward(out.sink)
    payloads = await taken(out, 24)
    await running.stop()
    assert sorted(request["messageId"] for request in await out.taken()) == sorted(ids)
    assert len(payloads) == 24
    for phone in {phone for phone, _ in texts}:
        of_phone = [payload["message"] for payload in payloads if payload["from"] == phone]
        assert of_phone == [text for who, text in texts if who == phone]
    assert await left(connection) == (0, 0, 0, 0, 0)
    totals = await connection.call("HGET", "rfctl:totals", "sink:bot:delivered")
    assert totals == b"24"


async def test_crash_before_the_acknowledgement_repeats_the_delivery_with_the_same_id(
    connection: Connection, out: Outlet, monkeypatch: pytest.MonkeyPatch, forward: Forward
) -> None:
    await hand_over(connection, ("7", "a"))
    [first] = await delivery_ids(connection)
    crashed = asyncio.Event()

    async def never(self: Any, entry: StreamEntry, *_: Any) -> None:
        crashed.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(DeliveryQueue, "acknowledge", never)
        if out.kind in IN_THE_SAME_REDIS:  # there the two are one step: the crash can only be after it
            write_and_acknowledge = DeliveryQueue.write_and_acknowledge

            async def pushed_and_gone(self: Any, entry: Any, what: Any) -> None:
                await write_and_acknowledge(self, entry, what)
                await never(self, entry)

            patched.setattr(DeliveryQueue, "write_and_acknowledge", pushed_and_gone)
        dying = forward(out.sink, RetryPolicy(PACE.retry_delays_ms, max_sleep_ms=50, finish_ms=10))
        await asyncio.wait_for(crashed.wait(), PATIENCE_S)
        await dying.stop()  # the queue of its phone is still in there, and is cut off
    running = forward(out.sink, who="two")
    wanted = 1 if out.kind in ONCE else 2
    payloads = await taken(out, wanted)
    await until(lambda: settled(connection))
    await running.stop()
    assert [request["messageId"] for request in await out.taken()] == [first] * wanted
    assert {json.dumps(payload, sort_keys=True) for payload in payloads} == {
        json.dumps(payloads[0], sort_keys=True)
    }


async def test_failing_phone_keeps_its_order_and_delays_no_other(
    connection: Connection, failing: FailingOutlet, forward: Forward
) -> None:
    failing.sink.failures = {"bad": 10_000}
    await hand_over(connection, ("bad", "1"), ("good", "a"), ("bad", "2"), ("good", "b"), ("bad", "3"))
    running = forward(failing.sink, RetryPolicy(retry_delays_ms=(60,) * 1000, concurrency=4, max_sleep_ms=50))
    await taken(failing, 2)
    await hand_over(connection, ("bad", "4"), ("good", "c"))
    assert [request["message"] for request in await taken(failing, 3)] == ["a", "b", "c"]
    failing.sink.failures = {}
    payloads = await taken(failing, 7)
    await running.stop()
    assert [payload["message"] for payload in payloads if payload["from"] == "bad"] == ["1", "2", "3", "4"]
    attempts = [attempt for phone, attempt in failing.sink.attempts if phone == "bad"]
    failures = len(attempts) - 3
    assert failures > 1
    assert attempts == [*range(1, failures + 1), 1, 1, 1]
    assert await settled(connection)


async def test_retry_schedule_survives_a_restart(
    connection: Connection, failing: FailingOutlet, forward: Forward
) -> None:
    failing.sink.failures = {"7": 1}
    await hand_over(connection, ("7", "a"), ("7", "b"))
    pace = RetryPolicy(retry_delays_ms=(3_600_000,), concurrency=4, max_sleep_ms=50)
    first = forward(failing.sink, pace)
    await until(lambda: is_one_phone_waiting(connection))
    retry = make_rig(connection).shards[0].sink("bot").retry
    [_, before] = await connection.call("ZRANGE", retry, 0, -1, "WITHSCORES")
    await first.stop()
    second = forward(failing.sink, pace, who="two")
    await hand_over(connection, ("8", "other"))
    [other] = await taken(failing, 1)
    [_, after] = await connection.call("ZRANGE", retry, 0, -1, "WITHSCORES")
    assert (other["message"], after) == ("other", before), "a restart does not retry sooner"
    await connection.call("ZADD", retry, "XX", 1, "7")  # as if the hour was over
    payloads = (await taken(failing, 3))[1:]
    await second.stop()
    assert [payload["message"] for payload in payloads] == ["a", "b"]
    assert failing.sink.attempts == [("7", 1), ("8", 1), ("7", 2), ("7", 1)]


async def is_one_phone_waiting(connection: Connection) -> bool:
    return (await left(connection))[2] == 1


async def test_last_attempt_leaves_a_dead_letter_with_its_history_and_the_next_message_is_delivered(
    connection: Connection, failing: FailingOutlet, forward: Forward
) -> None:
    failing.sink.failures = {"7": 3}
    [first, _] = await hand_over(connection, ("7", "never"), ("7", "next"))
    running = forward(failing.sink)
    [payloads] = await taken(failing, 1)
    await running.stop()
    assert payloads["message"] == "next"
    [(_, flat)] = await connection.call("XRANGE", "rfctl:dead", "-", "+")
    dead = {flat[i].decode(): flat[i + 1].decode() for i in range(0, len(flat), 2)}
    assert (dead["sink"], dead["id"], dead["phone"], dead["text"]) == ("bot", first, "7", "never")
    attempts = json.loads(dead["tries"])
    assert [attempt["error"] for attempt in attempts] == ["no, not 7"] * 3
    assert [
        attempts[i + 1]["at_ms"] - attempts[i]["at_ms"] >= wait for i, wait in enumerate(PACE.retry_delays_ms)
    ] == [
        True,
        True,
    ]
    assert await settled(connection)


async def test_list_sink_retries_while_its_key_has_another_type(
    connection: Connection, forward: Forward
) -> None:
    await connection.call("SET", "to-bad", "x")
    await hand_over(connection, ("bad", "1"), ("good", "a"), ("bad", "2"))
    running = forward(
        RedisSink("list", "to-{phone}"), RetryPolicy(retry_delays_ms=(100,) * 50, max_sleep_ms=50)
    )
    await until(lambda: connection.call("EXISTS", "to-good"))
    await until(lambda: is_one_phone_waiting(connection))
    await connection.call("DEL", "to-bad")
    await until(lambda: settled(connection))
    await running.stop()
    assert [json.loads(item)["message"] for item in await connection.call("LRANGE", "to-bad", 0, -1)] == [
        "1",
        "2",
    ]


async def test_final_failure_is_dead_at_once_and_a_pause_stops_everything(
    connection: Connection, forward: Forward, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[bool] = []
    read_pause = DeliveryQueue.is_paused

    async def paused(self: DeliveryQueue) -> bool:
        answers.append(await read_pause(self))
        return answers[-1]

    monkeypatch.setattr(DeliveryQueue, "is_paused", paused)
    receiver = Receiver(DeliveryError("malformed", final=True))
    running = forward(receiver, RetryPolicy(retry_delays_ms=(10,), max_sleep_ms=50))
    await hand_over(connection, ("7", "a"))
    await until(lambda: connection.call("XLEN", "rfctl:dead"))
    receiver.says = DeliveryError("410 Gone", pause=True)
    await hand_over(connection, ("7", "b"), ("8", "c"))
    await until(lambda: connection.call("HEXISTS", "rfctl:paused", "bot"))
    receiver.says = None
    await hand_over(connection, ("9", "d"))
    answers.clear()
    await until(lambda: answers.count(True) >= 3)  # the forwarder has had turns to read it, and let it be
    assert receiver.got == []
    await connection.call("HDEL", "rfctl:paused", "bot")
    await until(lambda: settled(connection))
    await running.stop()
    assert sorted(receiver.got) == ["b", "c", "d"]


async def test_recovered_receiver_gets_waiting_messages_at_once(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, forward: Forward
) -> None:
    monkeypatch.setattr("rfctl.delivery.outage._MIN_OUTAGE_S", 0)

    receiver = Receiver(DeliveryError("down"))
    running = forward(receiver, RetryPolicy(retry_delays_ms=(3_600_000,), max_sleep_ms=50))
    await hand_over(connection, *((f"{n}", f"{n}") for n in range(5)))

    async def all_wait() -> bool:
        return (await left(connection))[2] == 5

    await until(all_wait)
    receiver.says = None
    await hand_over(connection, ("new", "new"))
    await until(lambda: settled(connection))
    await running.stop()
    assert Counter(receiver.got) == Counter(["0", "1", "2", "3", "4", "new"])


async def test_busy_phone_delays_no_other(connection: Connection, forward: Forward) -> None:
    class Slow(Receiver):
        gate = asyncio.Event()

        async def deliver(self, delivery: Delivery) -> None:
            if delivery.merged.phone == "much":
                await self.gate.wait()
            await super().deliver(delivery)

    slow = Slow()
    texts = [("much", f"{n}") for n in range(200)] + [("other", "x")]
    await hand_over(connection, *texts)
    running = forward(slow, RetryPolicy(retry_delays_ms=(10,), concurrency=2, max_sleep_ms=50))
    await until(lambda: "x" in slow.got)
    slow.gate.set()
    await until(lambda: settled(connection))
    await running.stop()
    assert slow.got == ["x", *(f"{n}" for n in range(200))]


async def test_two_daemons_deliver_each_message_once_and_the_second_takes_over(
    connection: Connection, forward: Forward
) -> None:
    leading, standby = Receiver(), Receiver()
    pace = RetryPolicy(retry_delays_ms=(10,), max_sleep_ms=50, lease_ms=400)
    first = forward(leading, pace, "one")
    await until(lambda: connection.call("EXISTS", "rfctl:sink:bot:lease"))
    second = forward(standby, pace, "two")
    await hand_over(connection, *((f"{n % 5}", f"{n}") for n in range(50)))
    await until(lambda: len(leading.got) == 50)
    assert standby.got == []
    await first.stop()
    await connection.call("SET", "rfctl:sink:bot:lease", "one", "PX", 400)  # as if it had died without a word
    await hand_over(connection, ("7", "later"))
    await until(lambda: standby.got == ["later"])
    await second.stop()


async def test_deleted_group_begins_with_the_oldest_entry(connection: Connection, forward: Forward) -> None:
    receiver = Receiver()
    running = forward(receiver)
    await hand_over(connection, ("7", "a"))
    await until(lambda: receiver.got == ["a"])
    await connection.call("FLUSHALL")
    await hand_over(connection, ("7", "b"))
    await until(lambda: receiver.got[-1] == "b")
    await running.stop()


async def test_crash_of_a_sink_is_retried(connection: Connection, forward: Forward) -> None:
    class Buggy(Receiver):
        attempts = 0

        async def deliver(self, delivery: Delivery) -> None:
            self.attempts += 1
            if self.attempts == 1:
                raise ZeroDivisionError("oops")

    buggy = Buggy()
    await hand_over(connection, ("7", "a"))
    running = forward(buggy)
    await until(lambda: buggy.attempts == 2)
    await until(lambda: settled(connection))
    await running.stop()


async def test_outage_of_redis_loses_no_delivery_and_keeps_the_order(
    own_server: ServerMaker,
) -> None:
    class Gated(Receiver):
        gate = asyncio.Event()

        async def deliver(self, delivery: Delivery) -> None:
            if len(self.got) > 10:
                await self.gate.wait()
            await super().deliver(delivery)

    server = own_server()
    connection = Connection.open(RedisAddress(server.url, "the test", timeout_ms=500))
    receiver = Gated()
    running = Running(
        connection,
        receiver,
        RetryPolicy(retry_delays_ms=(10,), concurrency=4, max_sleep_ms=50, lease_ms=600),
        "one",
    )
    try:
        await hand_over(connection, *((f"7{n % 3}", f"{n}") for n in range(90)))
        await until(lambda: len(receiver.got) > 10)
        with capture_logs() as lines:
            server.kill()
            await until(lambda: any(line["event"] == "redis_unavailable" for line in lines))
        receiver.gate.set()  # these deliveries succeed, and cannot be acknowledged
        server.start()
        await until(lambda: len(set(receiver.got)) == 90)
        await until(lambda: settled(connection))
    finally:
        await running.stop()
        await connection.close()
    first = list(dict.fromkeys(receiver.got))
    for phone in range(3):
        assert [int(text) for text in first if int(text) % 3 == phone] == list(range(phone, 90, 3))


async def test_message_ids_of_several_shards_are_unique(
    connection: Connection, server: RedisServer, tmp_path: Path
) -> None:
    async with HttpReceiver() as receiver:
        file = tmp_path / "c.toml"
        file.write_text(
            f"[redis]\nshards = 4\n[batching]\nmax_size = 1\n[http]\nport = 0\n"
            f'[sinks.bot]\ntype = "http"\nurl = "{receiver.url}"\nallow_private = true\n'
        )
        variables = {"HOME": str(tmp_path), "RFCTL_REDIS__URL": server.url}
        async with running(load(Environment(variables), file=file)):
            batches = make_rig(connection, 4, max_size=1)
            await batches.add(
                [Message(phone=f"7{n}", text=f"{n}", id=f"{n}", channel="generic") for n in range(40)]
            )
            await until(lambda: len(receiver.taken) >= 40)
    ids = [request["headers"]["webhook-id"] for request in receiver.taken]
    assert len(set(ids)) == len(ids) == 40
    assert {request["body"]["message"] for request in receiver.taken} == {f"{n}" for n in range(40)}


async def test_failing_phones_keep_their_schedule_while_others_are_served(
    connection: Connection, forward: Forward
) -> None:
    attempts: list[str] = []

    class Refusing(Receiver):
        async def deliver(self, delivery: Delivery) -> None:
            if delivery.merged.phone.startswith("bad"):
                attempts.append(delivery.merged.phone)
                raise DeliveryError("no", retry_after_ms=3_600_000)
            await super().deliver(delivery)

    receiver = Refusing()
    running = forward(receiver, RetryPolicy(retry_delays_ms=(3_600_000,) * 9, max_sleep_ms=20))
    await hand_over(connection, *((f"bad{n}", f"{n}") for n in range(4)))
    for n in range(40):
        await hand_over(connection, ("good", f"g{n}"))
    await until(lambda: len(receiver.got) == 40)
    await running.stop()
    assert sorted(attempts) == ["bad0", "bad1", "bad2", "bad3"]
    assert await connection.call("XLEN", "rfctl:dead") == 0


async def test_entry_deleted_during_its_wait_frees_its_phone(
    connection: Connection, forward: Forward
) -> None:
    receiver = Receiver(DeliveryError("down"))
    running = forward(receiver, RetryPolicy(retry_delays_ms=(100,) * 99, max_sleep_ms=20))
    [entry_id] = await hand_over(connection, ("7", "deleted"))
    await until(lambda: is_one_phone_waiting(connection))
    await connection.call("XDEL", "rfctl:out", entry_id)
    receiver.says = None
    await hand_over(connection, ("7", "next"))
    await until(lambda: receiver.got == ["next"])
    await until(lambda: settled(connection))
    await running.stop()


@pytest.mark.parametrize(
    "fields", [("phone", "7", "count", "x"), ("phone", "7", "messages", "nope"), ("a", "b")]
)
async def test_foreign_entry_becomes_a_dead_letter_and_stops_nothing(
    connection: Connection, fields: tuple[Any, ...], forward: Forward
) -> None:
    receiver = Receiver()
    await connection.call("XADD", "rfctl:out", "*", *fields)
    running = forward(receiver)
    await make_rig(connection, max_size=1).add([Message(phone="7", text="next", id="n", channel="x")])
    await until(lambda: "next" in receiver.got)
    await until(lambda: settled(connection))
    await running.stop()
    assert await connection.call("XLEN", "rfctl:dead") == (0 if fields == ("a", "b") else 1)


async def test_cancellation_by_the_sink_itself_is_a_failure(connection: Connection, forward: Forward) -> None:
    class Odd(Receiver):
        attempts = 0

        async def deliver(self, delivery: Delivery) -> None:
            self.attempts += 1
            if self.attempts == 1:
                raise asyncio.CancelledError

    odd = Odd()
    await hand_over(connection, ("7", "a"))
    running = forward(odd)
    await until(lambda: odd.attempts == 2)
    await until(lambda: settled(connection))
    await running.stop()


async def test_daemon_without_the_lease_reads_nothing(connection: Connection) -> None:
    delivery = deliveries(connection)
    await delivery.open()
    await hand_over(connection, ("7", "a"))
    assert await delivery.lease("one", 60_000)
    assert len(await delivery.read_new(10, 1, "one") or []) == 1
    await connection.call("DEL", "rfctl:sink:bot:lease")
    assert await delivery.lease("two", 60_000)
    await hand_over(connection, ("7", "b"))
    assert await delivery.read_new(10, 1, "one") is None
    assert await delivery.read_unacknowledged("0-0", 10, "one") is None
    assert [entry.merged.text for entry in await delivery.read_new(10, 1, "two") or []] == ["b"]


async def test_retry_scheduled_twice_counts_one_attempt(connection: Connection) -> None:
    delivery = deliveries(connection)
    [entry_id] = await hand_over(connection, ("7", "a"))
    for _ in range(2):
        await delivery.schedule_retry("7", [entry_id], wait_ms=0, error="no", attempts=0)
    assert (await delivery.fetch(entry_id)).attempts == 1
    await delivery.schedule_retry("7", [entry_id], wait_ms=0, error="no", attempts=1)
    assert (await delivery.fetch(entry_id)).attempts == 2
