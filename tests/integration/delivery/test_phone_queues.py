"""Which deliveries may start after a pause, a stop or a lost lease; and whose failures are an outage."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from rfctl.delivery import RetryPolicy
from rfctl.delivery.phone_queues import PhoneQueues
from rfctl.model.delivery import Delivery
from rfctl.sinks.contract import DeliveryError
from rfctl.store import DeliveryQueue, replies
from rfctl.store.connection import Connection
from rfctl.store.dead_letters import DeadLetters
from tests.support.forwarding import Receiver, Running, deliveries, hand_over, left, settled
from tests.support.keys import SHARD
from tests.support.waiting import until

POLICY = RetryPolicy(retry_delays_ms=(3_600_000,) * 9, concurrency=2, max_sleep_ms=20)
SIX = [(f"{n}", f"{n}") for n in range(6)]


class Gated(Receiver):
    """Takes nothing before its gate is open; `begun` are the messages that it was given."""

    def __init__(self, says: DeliveryError | None = None) -> None:
        super().__init__(says)
        self.gate = asyncio.Event()
        self.begun: list[str] = []

    async def deliver(self, delivery: Delivery) -> None:
        self.begun.append(delivery.merged.text)
        await self.gate.wait()
        await super().deliver(delivery)


async def begin_two_of_six(connection: Connection, gated: Gated) -> Running:
    """Start with six phones: two are with the receiver, two wait for a slot, two are unread."""
    await hand_over(connection, *SIX)
    running = Running(connection, gated, POLICY, "daemon-1")
    await until(lambda: len(gated.begun) == 2)
    await until(lambda: are_all_read(connection, 4))
    return running


def notice_answer(monkeypatch: pytest.MonkeyPatch, verb: str, answer: bool) -> asyncio.Event:
    """Return an event that is set when a call of the delivery queue has this answer."""
    is_answered = asyncio.Event()
    call = getattr(DeliveryQueue, verb)

    async def noticing(*args: Any) -> bool:
        result: bool = await call(*args)
        if result is answer:
            is_answered.set()
        return result

    monkeypatch.setattr(DeliveryQueue, verb, noticing)
    return is_answered


async def test_paused_forwarder_starts_no_delivery_until_it_is_resumed(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    gated = Gated()
    running = await begin_two_of_six(connection, gated)
    is_paused = notice_answer(monkeypatch, "is_paused", answer=True)
    await connection.call("HSET", "rfctl:paused", "bot", '{"why":"lunch","at_ms":1}')
    await is_paused.wait()
    gated.gate.set()
    await until(lambda: are_all_waiting(connection, 2))
    assert len(gated.begun) == 2
    await connection.call("HDEL", "rfctl:paused", "bot")
    await until(lambda: len(gated.begun) == 6)
    await until(lambda: settled(connection))
    await running.stop()
    assert Counter(gated.begun) == Counter(text for _, text in SIX)


async def test_stopped_forwarder_starts_no_delivery(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    gated = Gated()
    running = await begin_two_of_six(connection, gated)
    is_draining = asyncio.Event()
    wait_until_drained = PhoneQueues.wait_until_drained

    async def noticing(queues: PhoneQueues, within_ms: float) -> None:
        is_draining.set()
        await wait_until_drained(queues, within_ms)

    monkeypatch.setattr(PhoneQueues, "wait_until_drained", noticing)
    stopping = asyncio.create_task(running.stop())
    await is_draining.wait()
    gated.gate.set()
    await stopping
    assert len(gated.begun) == len(gated.got) == 2
    again = Running(connection, gated, POLICY, "daemon-2")
    await until(lambda: len(gated.begun) == 6)
    await until(lambda: settled(connection))
    await again.stop()
    assert Counter(gated.begun) == Counter(text for _, text in SIX)


async def test_forwarder_without_lease_starts_no_delivery(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    gated = Gated()
    running = await begin_two_of_six(connection, gated)
    is_lost = notice_answer(monkeypatch, "lease", answer=False)
    await connection.call("SET", "rfctl:sink:bot:lease", f"another {10**15}")
    await is_lost.wait()
    gated.gate.set()
    await running.stop()
    assert len(gated.begun) == 2


async def test_receiver_that_answers_gone_is_not_asked_again(connection: Connection) -> None:
    gated = Gated(DeliveryError("410 Gone", pause=True))
    running = await begin_two_of_six(connection, gated)
    gated.gate.set()
    await until(lambda: connection.call("HEXISTS", "rfctl:paused", "bot"))
    await until(lambda: are_all_waiting(connection, 4))
    await running.stop()
    assert len(gated.begun) == 2
    assert (await left(connection))[0] == 4, "every message that was read is still to be delivered"


class Picky(Receiver):
    """Refuses some phones, each with its own words; `attempts` counts everybody's tries."""

    def __init__(self, **refuses: DeliveryError) -> None:
        super().__init__()
        self.refuses = refuses
        self.attempts: Counter[str] = Counter()

    async def deliver(self, delivery: Delivery) -> None:
        phone = delivery.merged.phone
        self.attempts[phone] += 1
        if phone in self.refuses:
            raise self.refuses[phone]
        await super().deliver(delivery)


async def are_all_read(connection: Connection, count: int) -> bool:
    return (await left(connection))[0] == count


async def are_all_waiting(connection: Connection, count: int) -> bool:
    return (await left(connection))[2] == count


async def deliver_to_others(connection: Connection, picky: Picky, times: int) -> None:
    """Deliver a message of somebody else, so many times."""
    for n in range(times):
        before = len(picky.got)
        await hand_over(connection, ("good", f"{n}"))
        await until(partial(has_delivered_since, picky, before))


def has_delivered_since(picky: Picky, before: int) -> bool:
    return len(picky.got) > before


@pytest.fixture
def short_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rfctl.delivery.outage._MIN_OUTAGE_S", 0.0)


async def test_rejected_messages_keep_their_attempts_while_others_are_delivered(
    connection: Connection, short_outage: None
) -> None:
    picky = Picky(**{name: DeliveryError("no") for name in ("a", "b", "c", "d")})
    await hand_over(connection, *((name, name) for name in picky.refuses))
    running = Running(connection, picky, POLICY, "daemon-1")
    await until(lambda: are_all_waiting(connection, 4))
    await deliver_to_others(connection, picky, 5)
    await running.stop()
    assert {picky.attempts[name] for name in picky.refuses} == {2}, (
        "once, and once when others were served again"
    )


async def test_retry_after_of_the_receiver_is_kept_after_an_outage(
    connection: Connection, short_outage: None
) -> None:
    later = DeliveryError("429", retry_after_ms=600_000)
    picky = Picky(limited=later, a=DeliveryError("no"), b=DeliveryError("no"), c=DeliveryError("no"))
    await hand_over(connection, *((name, name) for name in picky.refuses))
    running = Running(connection, picky, POLICY, "daemon-1")
    await until(lambda: are_all_waiting(connection, 4))
    picky.refuses = {"limited": later}
    await deliver_to_others(connection, picky, 2)
    await until(lambda: {"a", "b", "c"} <= set(picky.got))
    await running.stop()
    assert picky.attempts["limited"] == 1


async def test_three_waits_of_the_receiver_are_no_outage(connection: Connection, short_outage: None) -> None:
    picky = Picky(**{name: DeliveryError("429", retry_after_ms=600_000) for name in ("a", "b", "c")})
    await hand_over(connection, *((name, name) for name in picky.refuses))
    running = Running(connection, picky, POLICY, "daemon-1")
    await until(lambda: are_all_waiting(connection, 3))
    await deliver_to_others(connection, picky, 3)
    await running.stop()
    assert {picky.attempts[name] for name in picky.refuses} == {1}


async def test_phone_that_waits_again_is_no_longer_due(connection: Connection) -> None:
    queue = deliveries(connection)
    await queue.schedule_retry("7", ["1-0"], wait_ms=0)
    assert await queue.find_first_due("7") == "1-0"
    await queue.schedule_retry("7", ["1-0"], wait_ms=60_000, error="no")
    assert await queue.find_first_due("7") == ""
    assert await queue.find_first_due("8") == ""


async def test_retry_now_of_an_operator_includes_fixed_waits(connection: Connection) -> None:
    queue = deliveries(connection)
    for n in range(2500):
        await queue.schedule_retry(f"{n}", [f"{n + 1}-0"], wait_ms=3_600_000, error="no", fixed=n % 2 == 0)
    assert await queue.retry_now(fixed_too=False) == 1250
    assert (await queue.find_due(5000))[1] is not None
    assert await queue.retry_now() == 1250
    names, later = await queue.find_due(5000)
    assert (len(names), later) == (2500, None)


PATIENT = RetryPolicy(retry_delays_ms=(1,), max_sleep_ms=3_600_000, lease_ms=3_600_000)
"""No turn of a forwarder ends by itself within a test."""


@pytest.fixture
async def patient(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Connection]:
    """A connection on which a forwarder waits for new messages for an hour."""
    monkeypatch.setattr(DeliveryQueue, "block_ms", PATIENT.max_sleep_ms)
    opened = Connection.open(replace(connection.address, timeout_ms=2 * PATIENT.max_sleep_ms))
    await deliveries(opened).open()
    yield opened
    await opened.close()


async def test_pause_that_comes_while_the_forwarder_waits_lets_nothing_start(
    connection: Connection, patient: Connection
) -> None:
    receiver = Receiver()
    running = Running(patient, receiver, PATIENT, "daemon-1")
    await until(lambda: is_blocked(connection))
    await connection.call("HSET", "rfctl:paused", "bot", '{"why":"lunch","at_ms":1}')
    await hand_over(connection, ("7", "a"))
    await until(lambda: is_blocked(connection, 0))
    await running.stop()
    assert receiver.got == []
    assert (await left(connection))[0] == 0, "it is not even read"


async def is_blocked(connection: Connection, count: int = 1) -> bool:
    """Say whether so many clients wait for new messages."""
    lines = replies.text(await connection.call("INFO", "clients")).splitlines()
    return f"blocked_clients:{count}" in lines


async def test_retry_is_in_time_while_the_forwarder_waits_for_new_messages(
    connection: Connection, patient: Connection
) -> None:
    await hand_over(connection, ("7", "a"))
    gated = Gated(DeliveryError("no"))
    running = Running(patient, gated, PATIENT, "daemon-1")
    await until(lambda: is_blocked(connection))
    gated.gate.set()
    await until(lambda: DeadLetters(connection, [SHARD]).count())
    running.stopping.set()
    await hand_over(connection, ("8", "b"))  # it ends the wait
    await running.stop()
    [letter] = await DeadLetters(connection, [SHARD]).list_newest()
    assert letter.entry.merged.text == "a"


async def test_many_failing_phones_are_put_back_and_fetched_side_by_side(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call waits for the other phone's: in turn they would wait for ever."""
    for verb in ("schedule_retry", "fetch_within"):
        monkeypatch.setattr(DeliveryQueue, verb, meet(getattr(DeliveryQueue, verb), 2))
    picky = Picky(a=DeliveryError("no"), b=DeliveryError("no"))
    await hand_over(connection, ("a", "1"), ("b", "2"))
    running = Running(connection, picky, replace(POLICY, retry_delays_ms=(0,)), "daemon-1")
    await until(lambda: DeadLetters(connection, [SHARD]).count())
    await until(lambda: settled(connection))
    await running.stop()
    assert picky.attempts == {"a": 2, "b": 2}


def meet(call: Any, count: int) -> Any:
    """Return the call such that so many of them begin before any of them goes on."""
    barrier = asyncio.Barrier(count)

    async def meeting(*args: Any, **more: Any) -> Any:
        await barrier.wait()
        return await call(*args, **more)

    return meeting
