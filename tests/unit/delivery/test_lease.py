"""How long a lease counts as ours, on a clock of the test and a stand-in queue."""

from __future__ import annotations

import pytest

from rfctl.delivery.lease import Lease, LeaseLostError, retry_while_leased
from rfctl.errors import CredentialsRefusedError, RedisCannotNowError, RedisUnreachableError
from rfctl.store import DeliveryQueue


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class FakeQueue(DeliveryQueue):
    """Grants or denies the lease, and answers `answer_s` later."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.grants = True
        self.answer_s = 0.0
        self.calls: list[tuple[str, int]] = []

    async def lease(self, daemon_id: str, ms: int) -> bool:
        self.calls.append((daemon_id, ms))
        self.clock.now += self.answer_s
        return self.grants


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> FakeQueue:
    return FakeQueue(clock)


@pytest.fixture
def lease(queue: FakeQueue, clock: Clock) -> Lease:
    return Lease(queue, "daemon", 3000, clock)


async def test_lease_counts_from_the_question_and_not_from_the_answer(
    lease: Lease, queue: FakeQueue, clock: Clock
) -> None:
    queue.answer_s = 2.0
    answers = [lease.is_ours, await lease.take_or_renew()]
    for seconds in (0.75, 0.25):
        clock.now += seconds
        answers.append(lease.is_ours)
    assert answers == [False, True, True, False]


async def test_lease_is_not_ours_after_a_refusal_an_expiry_or_its_release(
    lease: Lease, queue: FakeQueue
) -> None:
    await lease.take_or_renew()
    queue.grants = False
    assert not await lease.take_or_renew()
    assert not lease.is_ours
    queue.grants = True
    await lease.take_or_renew()
    lease.expire()
    assert not lease.is_ours
    await lease.take_or_renew()
    await lease.release()
    assert not lease.is_ours
    assert queue.calls[-1] == ("daemon", 0)


async def test_lease_that_ran_out_before_the_answer_is_a_new_term(lease: Lease, queue: FakeQueue) -> None:
    terms = []
    for answer_s in (0.0, 1.0, 2.5, 0.0):
        queue.answer_s = answer_s
        await lease.take_or_renew()
        terms.append(lease.term)
    assert terms == [1, 1, 2, 2], "another daemon may have had it, and given it back"


async def test_call_is_repeated_while_redis_is_away_and_the_lease_is_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rfctl.delivery.lease._RETRY_DELAY_S", 0)
    problems: list[Exception] = [RedisUnreachableError("cut"), RedisCannotNowError("LOADING")]

    async def call() -> str:
        if problems:
            raise problems.pop()
        return "answer"

    assert await retry_while_leased(lambda: True, call) == "answer"
    assert problems == []


async def test_call_is_given_up_when_the_lease_has_run_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rfctl.delivery.lease._RETRY_DELAY_S", 0)
    answers = [True, True, False]
    calls = 0

    async def call() -> None:
        nonlocal calls
        calls += 1
        raise RedisUnreachableError("cut")

    with pytest.raises(LeaseLostError):
        await retry_while_leased(lambda: answers.pop(0), call)
    assert calls == 2


async def test_error_that_does_not_pass_is_raised_at_once() -> None:
    async def call() -> None:
        raise CredentialsRefusedError("no")

    with pytest.raises(CredentialsRefusedError):
        await retry_while_leased(lambda: True, call)
