"""What waits for a free slot starts only what may still start; and whose failures say that a receiver is down."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial

import pytest

from rfctl.delivery import RetryPolicy
from rfctl.model.delivery import Delivery
from rfctl.sinks.contract import DeliveryError
from rfctl.store.connection import Connection
from tests.support.forwarding import Receiver, Running, deliveries, hand_over, left, settled
from tests.support.waiting import until

PACE = RetryPolicy(retry_delays_ms=(3_600_000,) * 9, concurrency=2, max_sleep_ms=20)
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


async def two_at_it(connection: Connection, gated: Gated) -> Running:
    """Six phones, of which two are with the receiver and four wait for a slot."""
    await hand_over(connection, *SIX)
    running = Running(connection, gated, PACE, "one")
    await until(lambda: len(gated.begun) == 2)
    await asyncio.sleep(0.1)
    return running


async def test_a_pause_starts_nothing_more_and_what_waits_goes_on_afterwards(connection: Connection):
    gated = Gated()
    running = await two_at_it(connection, gated)
    await connection.call("HSET", "rfctl:paused", "bot", '{"why":"lunch","at_ms":1}')
    await asyncio.sleep(0.1)
    gated.gate.set()
    await asyncio.sleep(0.2)
    assert len(gated.begun) == 2
    await connection.call("HDEL", "rfctl:paused", "bot")
    await until(lambda: len(gated.begun) == 6)
    await until(lambda: settled(connection))
    await running.stop()
    assert Counter(gated.begun) == Counter(text for _, text in SIX)


async def test_a_stop_starts_nothing_more(connection: Connection):
    gated = Gated()
    running = await two_at_it(connection, gated)
    stopping = asyncio.create_task(running.stop())
    await asyncio.sleep(0.1)
    gated.gate.set()
    await stopping
    assert len(gated.begun) == len(gated.got) == 2
    again = Running(connection, gated, PACE, "two")
    await until(lambda: len(gated.begun) == 6)
    await until(lambda: settled(connection))
    await again.stop()
    assert Counter(gated.begun) == Counter(text for _, text in SIX)


async def test_whose_lease_was_lost_starts_nothing_more(connection: Connection):
    gated = Gated()
    running = await two_at_it(connection, gated)
    await connection.call("SET", "rfctl:sink:bot:lease", "another", "PX", 60_000)
    await asyncio.sleep(0.1)
    gated.gate.set()
    await asyncio.sleep(0.2)
    await running.stop()
    assert len(gated.begun) == 2


async def test_a_receiver_that_is_gone_for_good_is_not_asked_again(connection: Connection):
    gated = Gated(DeliveryError("410 Gone", pause=True))
    running = await two_at_it(connection, gated)
    gated.gate.set()
    await until(lambda: connection.call("HEXISTS", "rfctl:paused", "bot"))
    await asyncio.sleep(0.2)
    await running.stop()
    assert len(gated.begun) == 2
    assert (await left(connection))[0] == 4, "what was read is still to be delivered"


class Picky(Receiver):
    """Refuses some phones, each with its own words; `tried` counts everybody's tries."""

    def __init__(self, **refuses: DeliveryError) -> None:
        super().__init__()
        self.refuses = refuses
        self.tried: Counter[str] = Counter()

    async def deliver(self, delivery: Delivery) -> None:
        phone = delivery.merged.phone
        self.tried[phone] += 1
        if phone in self.refuses:
            raise self.refuses[phone]
        await super().deliver(delivery)


async def all_held(connection: Connection, count: int) -> bool:
    return (await left(connection))[2] == count


async def healthy(connection: Connection, picky: Picky, times: int) -> None:
    """Somebody else is served, again and again, each time after the receiver served nobody for a while."""
    for n in range(times):
        await asyncio.sleep(0.1)
        before = len(picky.got)
        await hand_over(connection, ("good", f"{n}"))
        await until(partial(served_since, picky, before))


def served_since(picky: Picky, before: int) -> bool:
    return len(picky.got) > before


@pytest.fixture
def soon_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rfctl.delivery.outage._MIN_OUTAGE_S", 0.05)


async def test_those_who_are_always_refused_do_not_burn_their_tries_when_others_are_served(
    connection: Connection, soon_down: None
):
    picky = Picky(**{name: DeliveryError("no") for name in ("a", "b", "c", "d")})
    await hand_over(connection, *((name, name) for name in picky.refuses))
    running = Running(connection, picky, PACE, "one")
    await until(lambda: all_held(connection, 4))
    await healthy(connection, picky, 5)
    await running.stop()
    assert {picky.tried[name] for name in picky.refuses} == {2}, (
        "once, and once when others were served again"
    )


async def test_whoever_was_told_when_to_come_again_does_not_come_before(
    connection: Connection, soon_down: None
):
    later = DeliveryError("429", retry_after_ms=600_000)
    picky = Picky(told=later, a=DeliveryError("no"), b=DeliveryError("no"), c=DeliveryError("no"))
    await hand_over(connection, *((name, name) for name in picky.refuses))
    running = Running(connection, picky, PACE, "one")
    await until(lambda: all_held(connection, 4))
    picky.refuses = {"told": later}
    await healthy(connection, picky, 2)
    await until(lambda: {"a", "b", "c"} <= set(picky.got))
    await running.stop()
    assert picky.tried["told"] == 1


async def test_three_who_were_told_to_come_later_are_no_sign_that_the_receiver_is_down(
    connection: Connection, soon_down: None
):
    picky = Picky(**{name: DeliveryError("429", retry_after_ms=600_000) for name in ("a", "b", "c")})
    await hand_over(connection, *((name, name) for name in picky.refuses))
    running = Running(connection, picky, PACE, "one")
    await until(lambda: all_held(connection, 3))
    await healthy(connection, picky, 3)
    await running.stop()
    assert {picky.tried[name] for name in picky.refuses} == {1}


async def test_a_phone_that_was_due_a_moment_ago_and_is_held_again_is_not_tried(connection: Connection):
    one = deliveries(connection)
    await one.schedule_retry("7", ["1-0"], wait_ms=0)
    assert await one.first_due("7") == "1-0"
    await one.schedule_retry("7", ["1-0"], wait_ms=60_000, error="no")
    assert await one.first_due("7") == ""
    assert await one.first_due("8") == ""


async def test_an_operator_pulls_in_also_the_waits_that_are_kept(connection: Connection):
    one = deliveries(connection)
    for n in range(2500):
        await one.schedule_retry(f"{n}", [f"{n + 1}-0"], wait_ms=60_000, error="no", fixed=n % 2 == 0)
    assert await one.retry_now(fixed_too=False) == 1250
    assert (await one.due(5000))[1] is not None
    assert await one.retry_now() == 1250
    names, later = await one.due(5000)
    assert (len(names), later) == (2500, None)
