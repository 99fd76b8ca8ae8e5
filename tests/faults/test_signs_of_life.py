"""Workers who live, and could not say so: Redis was away, or its clock has jumped. Nobody takes over what they have in hand.

And the other way round: a jump back leaves nothing with a dead worker for longer than usual.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator

from rfctl.worker.in_hand import Entry
from rfctl.worker.options import WorkerOptions
from rfctl.worker.redis_group import RedisGroup
from rfctl.worker.scripts import Verb, read_script
from tests.support.failing import FaultPlan
from tests.support.failing_worker import FailingGroup
from tests.support.servers import RedisServer
from tests.support.stepped_clock import SteppedServer
from tests.support.waiting import until
from tests.support.worker_groups import Handler, OutputStream, working

RETRY_S, DAY_MS = 20, 86_400_000


class Clock:
    """The steady clock of a worker: it stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@contextlib.asynccontextmanager
async def opened(
    url: str, plan: FaultPlan | None = None, clock: Clock | None = None
) -> AsyncIterator[RedisGroup]:
    options = WorkerOptions(url=url, group="bot", retry_after_s=RETRY_S)
    group = FailingGroup(options, plan or FaultPlan(), clock or Clock())
    await group.open()
    try:
        yield group
    finally:
        await group.close()


async def take(group: RedisGroup) -> Entry | None:
    """Look at what others left from the beginning, and take a message."""
    group.places[0].cursor = b"-"
    return await group.take(group.places[0], is_look=True)


def load_script(server: RedisServer, verb: Verb) -> None:
    """Let Redis know a script, so that the next call of it does its work."""
    with server.client() as client:
        client.script_load(read_script(verb).text)


async def test_nobody_takes_over_at_once_when_redis_is_back(server: RedisServer) -> None:
    out, plan, clock = OutputStream(server), FaultPlan(1), Clock()
    entry = out.add("7900", "a")
    async with opened(server.url) as living, opened(server.url, plan, clock) as other:
        assert await take(living)
        with server.client() as client:
            [row] = client.xpending_range("rfctl:out", "bot", "-", "+", 1)
            client.xclaim("rfctl:out", "bot", row["consumer"], 0, [entry], idle=DAY_MS, justid=True)
        clock.now += RETRY_S
        plan.arm("worker")
        assert await take(other) is None, "the living had no time to say that they live"
        assert plan.failed_call == "worker: take"
        clock.now += RETRY_S
        taken = await take(other)
        assert taken is not None, "whoever has it gives no sign of life"
        assert taken.attempt == 2


async def test_short_failure_of_redis_delays_no_take_over(server: RedisServer) -> None:
    out, plan, clock = OutputStream(server), FaultPlan(1), Clock()
    entry = out.add("7900", "a")
    async with opened(server.url) as dead, opened(server.url, plan, clock) as other:
        assert await take(dead)
        with server.client() as client:
            [row] = client.xpending_range("rfctl:out", "bot", "-", "+", 1)
            client.xclaim("rfctl:out", "bot", row["consumer"], 0, [entry], idle=DAY_MS, justid=True)
        clock.now += RETRY_S / 4
        plan.arm("worker")
        assert await take(other) is not None
        assert plan.failed_call == "worker: take"


async def test_message_that_was_taken_in_an_answer_that_was_lost_has_its_first_attempt(
    server: RedisServer,
) -> None:
    out, plan = OutputStream(server), FaultPlan(1, "after")
    out.add("7900", "a")
    async with opened(server.url, plan) as group:
        load_script(server, "take")
        plan.arm("worker")
        taken = await take(group)
        assert plan.calls == ["worker: take", "worker: take"]
        assert taken is not None
        assert taken.attempt == 1


async def test_failure_whose_answer_was_lost_is_noted_once(server: RedisServer) -> None:
    out, plan = OutputStream(server), FaultPlan(1, "after")
    out.add("7900", "a")
    async with opened(server.url, plan) as group:
        taken = await take(group)
        assert taken is not None
        load_script(server, "finish")
        plan.arm("worker")
        await group.finish(taken, "d-7900-a", "ValueError: no", is_last=False, takes_next=True)
        assert plan.calls == ["worker: finish", "worker: finish"]
    with server.client() as client:
        [history] = client.hvals("rfctl:worker:bot:failures")
    assert [failure["attempt"] for failure in json.loads(history)] == [1]


async def test_nobody_takes_over_when_the_clock_has_jumped_ahead(stepped_server: SteppedServer) -> None:
    out, clock = OutputStream(stepped_server), Clock()
    out.add("7900", "a")
    async with opened(stepped_server.url) as living, opened(stepped_server.url, clock=clock) as other:
        taken = await take(living)
        assert taken is not None
        assert await take(other) is None
        await stepped_server.step(DAY_MS)
        assert await take(other) is None, "a sign of life looks old, and is not"
        await living.renew(taken.keys, [taken.id])
        clock.now += RETRY_S
        assert await take(other) is None, "the living one has said that it lives"
        await stepped_server.step(DAY_MS)
        assert await take(other) is None
        clock.now += RETRY_S
        assert await take(other) is not None, "whoever has it gives no sign of life"


async def test_clock_that_jumps_back_leaves_nothing_with_the_dead(stepped_server: SteppedServer) -> None:
    out, handler = OutputStream(stepped_server), Handler()
    out.add("7900", "a")
    async with opened(stepped_server.url) as dead:
        assert await take(dead)
    await stepped_server.step(-DAY_MS)
    async with working(stepped_server.url, handler):
        await handler.wait_for(1)
        await until(lambda: out.read_group()["pending"] == 0)
    assert handler.lines == ["7900 a 2"]


async def test_clock_that_jumps_back_delays_no_other_attempt(stepped_server: SteppedServer) -> None:
    def fail_once(message: object) -> None:
        if len(handler.lines) == 1:
            raise ValueError("no")

    out, handler = OutputStream(stepped_server), Handler(fail_once)
    out.add("7900", "a")
    async with working(stepped_server.url, handler, retry_after_s=2):
        await until(lambda: stepped_server_has_failures(stepped_server))
        await stepped_server.step(-DAY_MS)
        await handler.wait_for(2)
    assert handler.lines == ["7900 a 1", "7900 a 2"]


def stepped_server_has_failures(server: SteppedServer) -> bool:
    with server.client() as client:
        return bool(client.exists("rfctl:worker:bot:failures"))
