"""The clock of Redis steps while batches wait, retries wait, a daemon holds a lease, and ids are remembered.

A step is by far larger than any wait of these tests. So what goes by the wrong clock is late by an hour, or early by
all of its wait, on any machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace

import pytest

from rfctl.batching import Scheduler
from rfctl.model.message import Message
from rfctl.sinks.contract import DeliveryError
from rfctl.store.connection import Connection
from tests.faults.extent import IS_WHOLE
from tests.support.batching import Rig, make_rig
from tests.support.failing import FaultPlan
from tests.support.life import ANNA, BORIS, POLICY, Life, living
from tests.support.servers import patient_address
from tests.support.stepped_clock import SteppedServer
from tests.support.waiting import until

SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000
SIZES = (SECOND, 50 * SECOND, HOUR, DAY) if IS_WHOLE else (SECOND, DAY)
STEPS = [sign * ms for ms in SIZES for sign in (1, -1)]
LARGE_STEPS = [step for step in STEPS if abs(step) > SECOND]
SLACK_S = 25
"""For a slow machine; less than the smallest of the large steps."""


@contextlib.asynccontextmanager
async def batching_on(server: SteppedServer, *, quiet_ms: int, max_wait_ms: int) -> AsyncIterator[Rig]:
    connection = Connection.open(patient_address(server.url))
    try:
        yield make_rig(connection, quiet_ms=quiet_ms, max_wait_ms=max_wait_ms)
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def scheduling(rig: Rig) -> AsyncIterator[None]:
    """Hand over as a daemon with the usual settings does."""
    stopping = asyncio.Event()
    scheduler = Scheduler(rig.batcher, max_sleep_ms=1000)
    task = asyncio.create_task(scheduler.run(stopping))
    try:
        yield
    finally:
        stopping.set()
        scheduler.wake()
        await task


def message(text: str, phone: str = ANNA) -> Message:
    return Message(phone=phone, text=text, id=text, channel="generic")


async def measure_s(waiting: Awaitable[object]) -> float:
    """Return how long this takes, by this machine's monotonic clock."""
    began = time.monotonic()
    await waiting
    return time.monotonic() - began


@pytest.mark.parametrize("step_ms", STEPS)
async def test_open_batch_leaves_in_time_after_a_step(stepped_server: SteppedServer, step_ms: int) -> None:
    async with batching_on(stepped_server, quiet_ms=2000, max_wait_ms=4000) as rig:
        await rig.hand_over()  # a daemon has seen the clock before
        await rig.add([message("a")])
        await stepped_server.step(step_ms)
        async with scheduling(rig):
            waited_s = await measure_s(until(rig.collect))
    assert waited_s < 4 + 1 + SLACK_S


@pytest.mark.parametrize("step_ms", [step for step in LARGE_STEPS if step > 0])
async def test_open_batch_keeps_its_remaining_wait_when_the_clock_steps_forward(
    stepped_server: SteppedServer, step_ms: int
) -> None:
    async with batching_on(stepped_server, quiet_ms=6000, max_wait_ms=9000) as rig:
        await rig.hand_over()
        began = time.monotonic()
        await rig.add([message("a")])
        async with scheduling(rig):
            await stepped_server.step(step_ms)
            await until(rig.collect)
            waited_s = time.monotonic() - began
    assert waited_s > 4, "it was handed over early"


async def hand_over_all(rig: Rig, count: int) -> None:
    async def all_left() -> bool:
        return bool(await rig.connection.call("XLEN", "rfctl:out") == count)

    async with scheduling(rig):
        await until(all_left, 120)


async def test_many_batches_leave_as_fast_after_a_step_back_as_without(stepped_server: SteppedServer) -> None:
    """The time without a step is the measure of this machine."""
    count = 5000 if IS_WHOLE else 1000
    messages = [message(f"m{number}", f"7{number:010d}") for number in range(count)]
    async with batching_on(stepped_server, quiet_ms=500, max_wait_ms=1000) as rig:

        async def fill(prefix: str) -> None:
            for start in range(0, count, 500):
                page = messages[start : start + 500]
                await rig.add([message(prefix + item.text, item.phone) for item in page])

        await fill("a")
        usual_s = await measure_s(hand_over_all(rig, count))
        await fill("b")
        await stepped_server.step(-HOUR)
        after_step_s = await measure_s(hand_over_all(rig, 2 * count))
    assert after_step_s < 1 + 1 + 4 * (usual_s + 1)


@contextlib.asynccontextmanager
async def life_on(server: SteppedServer) -> AsyncIterator[Life]:
    async with living(patient_address(server.url), FaultPlan(), "receiver") as life:
        yield life


@pytest.mark.parametrize("step_ms", LARGE_STEPS)
async def test_retry_and_what_waits_behind_it_come_in_time_after_a_step(
    stepped_server: SteppedServer, step_ms: int
) -> None:
    async with life_on(stepped_server) as life:
        life.policy = replace(POLICY, retry_delays_ms=(3000,) * 5)
        life.receiver.answers = {"a1": [DeliveryError("down")]}
        await life.hand_over(ANNA, "a1", "a2")
        life.start_forwarder()

        async def waits() -> bool:
            return bool((await life.store().people.find_whereabouts(ANNA, ["bot"])).undelivered)

        await until(waits)
        await stepped_server.step(step_ms)
        await life.hand_over(ANNA, "a3")
        await life.hand_over(BORIS, "b1")

        async def all_came() -> bool:
            return len(await life.read_deliveries()) == 4

        assert await measure_s(until(all_came)) < 3 + 1 + SLACK_S
        assert [text for phone, text in await life.read_deliveries() if phone == ANNA] == ["a1", "a2", "a3"]


@pytest.mark.parametrize("step_ms", LARGE_STEPS)
async def test_another_daemon_takes_over_when_the_clock_steps_and_the_holder_dies(
    stepped_server: SteppedServer, step_ms: int
) -> None:
    async with life_on(stepped_server) as life:
        await life.hand_over(ANNA, "a1")
        queue = life.queue()
        await queue.open()
        assert await queue.lease("the-dead-daemon", 2000)
        await stepped_server.step(step_ms)
        life.start_forwarder()
        assert await measure_s(until(life.read_deliveries)) < 3 * 2 + SLACK_S


@pytest.mark.parametrize("step_ms", STEPS)
async def test_id_is_remembered_over_a_step(stepped_server: SteppedServer, step_ms: int) -> None:
    async with batching_on(stepped_server, quiet_ms=60_000, max_wait_ms=90_000) as rig:
        assert [result.added for result in await rig.add([message("a")])] == [True]
        await stepped_server.step(step_ms)
        assert [result.added for result in await rig.add([message("a")])] == [False]


async def test_id_is_remembered_when_the_clock_steps_back_over_midnight(
    stepped_server: SteppedServer,
) -> None:
    async with batching_on(stepped_server, quiet_ms=60_000, max_wait_ms=90_000) as rig:
        await stepped_server.step_to_second_of_day(300)
        assert [result.added for result in await rig.add([message("a")])] == [True]
        await stepped_server.step(-10 * MINUTE)
        assert [result.added for result in await rig.add([message("a")])] == [False]
