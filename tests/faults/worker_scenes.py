"""What workers of the library do, and what operators do to their group, in scenes as those of a daemon.

Nothing is handled twice here: no worker dies with a message that it has begun.
"""

from __future__ import annotations

import asyncio

from rfctl.store import Forgotten
from rfctl.worker import GiveUpError
from rfctl.worker.options import WorkerOptions
from rfctl.worker.redis_group import RedisGroup
from tests.support.contents import find_traces
from tests.support.failing_worker import GROUP
from tests.support.life import ANNA, BORIS, Life, call_until_answered, have_come
from tests.support.waiting import until

ONCE = [1]


async def worker_claims(life: Life) -> None:
    """A worker takes messages of two people, and more of them come while it has these."""
    may_end = asyncio.Event()
    life.handler.answers = {"a1": [may_end.wait], "b1": [may_end.wait]}
    await life.hand_over(ANNA, "a1", "a2")
    await life.hand_over(BORIS, "b1")
    life.plan.arm("worker")
    life.start_worker(max_attempts=1)
    await until(lambda: len(life.handler.begun) == 2)
    await life.hand_over(ANNA, "a3")
    may_end.set()
    await have_come(life, "a1", "a2", "a3", "b1")
    await until(life.read_settled)
    assert all(attempt == 1 for _, attempt in life.handler.begun), "an attempt was counted that nobody began"
    life.start_scheduler()


async def worker_acknowledges(life: Life) -> None:
    """One message fails until it is a dead letter, another is given up at once; the ones behind them follow."""
    error = ValueError("no")
    life.handler.answers = {"a1": [error, error], "b1": [GiveUpError("never")]}
    await life.hand_over(ANNA, "a1", "a2", "a3")
    await life.hand_over(BORIS, "b1", "b2")
    life.plan.arm("worker")
    life.start_worker(max_attempts=2)
    await have_come(life, "a2", "a3", "b2")
    await until(life.read_settled)
    letters = await life.store().dead_letters.list_newest()
    failures = {letter.entry.merged.text: len(letter.attempts) for letter in letters}
    assert failures == {"a1": 2, "b1": 1}, f"each failure is noted once: {failures}"
    assert life.handler.list_attempts("a1") == [1, 2]
    life.start_scheduler()


async def worker_takes_over(life: Life) -> None:
    """A worker that is dead by now had the first messages of two people in hand."""
    await life.hand_over(ANNA, "a1", "a2")
    await life.hand_over(BORIS, "b1")
    dead = RedisGroup(WorkerOptions(url=life.url, group=GROUP))
    await dead.open()
    for _ in range(2):
        assert await dead.take(dead.places[0], is_look=False)
    await dead.close()
    life.plan.arm("worker")
    life.start_worker(max_attempts=2)
    await life.hand_over(ANNA, "a3")
    await have_come(life, "a1", "a2", "a3", "b1")
    await until(life.read_settled)
    attempts = [life.handler.list_attempts(text) for text in ("a1", "a2", "a3", "b1")]
    assert attempts == [[2], ONCE, ONCE, [2]], f"attempts {attempts}"
    life.start_scheduler()


async def worker_stops(life: Life) -> None:
    """A worker ends with a message in hand and another one behind it: the next worker has that at once."""
    may_end = asyncio.Event()
    life.handler.answers = {"a1": [may_end.wait]}
    await life.hand_over(ANNA, "a1", "a2", "a3")
    life.plan.arm("worker")
    worker = life.start_worker()
    await until(lambda: life.handler.begun)
    worker.stop()
    may_end.set()
    life.start_worker()
    await have_come(life, "a1", "a2", "a3")
    await until(life.read_settled)
    life.start_scheduler()


async def give_back(life: Life) -> None:
    """An operator gives a dead letter back to its group, and calls again until there is an answer."""
    life.handler.answers = {"a1": [GiveUpError("never")]}
    await life.hand_over(ANNA, "a1", "a2")
    life.start_worker()
    await until(life.read_dead)
    await have_come(life, "a2")
    life.plan.arm("operator", "worker")
    letters = life.store("operator").dead_letters
    [letter] = await call_until_answered(letters.list_newest)
    await call_until_answered(lambda: letters.retry(letter))
    assert not await call_until_answered(lambda: letters.retry(letter)), "it was given back a second time"
    await have_come(life, "a1")
    await until(life.read_settled)
    life.plan.arm()
    # A dead letter comes out of order.
    life.sent[ANNA] = ["a2", "a1"]
    life.start_scheduler()


async def forget_at_workers(life: Life) -> None:
    """Of one person the group has a dead letter again, one that failed, and one behind it; of another one as well."""
    life.handler.answers = {"a1": [GiveUpError("never")], "a2": [ValueError("no")], "b1": [ValueError("no")]}
    await life.hand_over(ANNA, "a1", "a2", "a3")
    await life.hand_over(BORIS, "b1")
    patient = life.start_worker(retry_after_s=300)
    await until(lambda: len(life.handler.begun) == 3)
    patient.stop()
    await until(lambda: life.has_ended(patient))
    operator = life.store("operator")
    [letter] = await operator.dead_letters.list_newest()
    await operator.dead_letters.retry(letter)
    life.plan.arm("operator")
    assert not (await _forget(life)).on_its_way
    life.plan.arm()
    assert await find_traces(life.connection, ANNA) == set(), "the person is not forgotten"
    life.sent[ANNA].clear()
    life.start_worker()
    await have_come(life, "b1")
    assert life.handler.list_attempts("b1") == [1, 2]
    life.start_scheduler()


async def forget_in_hand(life: Life) -> None:
    """A worker has a person's message in hand: that one stays and is named, until it is handled."""
    may_end = asyncio.Event()
    life.handler.answers = {"a1": [may_end.wait]}
    await life.hand_over(ANNA, "a1", "a2")
    life.start_worker(retry_after_s=300)
    await until(lambda: life.handler.begun)
    life.plan.arm("operator")
    done = await _forget(life)
    assert [message.id for message in done.on_its_way] == done.in_stream, "what stays is not named"
    assert len(done.in_stream) == 1
    life.plan.arm()
    may_end.set()

    async def is_forgotten() -> bool:
        return not (await _forget(life)).on_its_way

    await until(is_forgotten)
    assert await find_traces(life.connection, ANNA) == set(), "the person is not forgotten"
    assert life.handler.begun == [("a1", 1)], "what was forgotten was handled"
    life.sent[ANNA].remove("a2")
    life.start_scheduler()


async def _forget(life: Life) -> Forgotten:
    forgetting = life.store("operator").people.forgetting(ANNA, [], ["generic"])
    return await call_until_answered(lambda: forgetting.forget(with_stream=True))
