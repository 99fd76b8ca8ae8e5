"""The outcome of an attempt, for every way in which a sink can end it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

import pytest

from rfctl.delivery import RetryPolicy
from rfctl.delivery.attempt import (
    DeadLettered,
    Delivered,
    Failed,
    Missing,
    PauseRequested,
    Send,
    SinkCrashedError,
    attempt_delivery,
    judge_failure,
)
from rfctl.errors import RedisUnreachableError
from rfctl.model.delivery import Delivery
from rfctl.sinks.contract import DeliveryError
from rfctl.store import StreamEntry
from rfctl.text import mask_url

POLICY = RetryPolicy(retry_delays_ms=(100, 200, 300))
FIELDS = [b"phone", b"7", b"text", b"hello"]


def entry(attempts: int = 0, fields: list[bytes] | None = FIELDS) -> StreamEntry:
    return StreamEntry("5-0", fields, attempts=attempts)


def raising(problem: BaseException) -> Send:
    async def send(_: Delivery) -> str | None:
        raise problem

    return send


@pytest.mark.parametrize("following", [None, "", "6-0"])
async def test_accepted_message_is_delivered_with_its_id_and_attempt(following: str | None) -> None:
    deliveries: list[Delivery] = []

    async def send(delivery: Delivery) -> str | None:
        deliveries.append(delivery)
        return following

    assert await attempt_delivery(send, entry(attempts=2), POLICY, "redis-1") == Delivered(following)
    [delivery] = deliveries
    assert (delivery.id, delivery.attempt, delivery.merged.text) == ("5-0", 3, "hello")


async def test_deleted_message_is_missing_and_is_not_sent() -> None:
    assert await attempt_delivery(raising(AssertionError()), entry(fields=None), POLICY, "") == Missing()


async def test_unreadable_message_is_a_dead_letter_and_is_not_sent() -> None:
    outcome = await attempt_delivery(raising(AssertionError()), entry(fields=[b"count", b"x"]), POLICY, "")
    assert isinstance(outcome, DeadLettered)
    assert outcome.problem.fact.startswith("it cannot be read: ")


@pytest.mark.parametrize(
    ("attempts", "retry_after_ms", "final", "pause"),
    list(itertools.product(range(6), [0, 150, 10_000], [False, True], [False, True])),
)
def test_outcome_of_every_failure_follows_the_policy(
    attempts: int, retry_after_ms: int, final: bool, pause: bool
) -> None:
    problem = DeliveryError("no", retry_after_ms=retry_after_ms, final=final, pause=pause)
    outcome = judge_failure(attempts, problem, POLICY)
    if pause:
        assert outcome == PauseRequested(problem), "the receiver comes first"
    elif final or attempts >= 3:
        assert outcome == DeadLettered(problem)
    else:
        assert outcome == Failed(problem, max(100 * (attempts + 1), retry_after_ms))


@pytest.mark.parametrize(
    "problem",
    [
        lambda text: DeliveryError(text),
        lambda text: DeliveryError(text, final=True),
        lambda text: DeliveryError(text, pause=True),
        lambda text: OSError(text),
    ],
)
@pytest.mark.parametrize(
    "url", ["amqp://bot:hunter2@mq/x", "https://h.example/hook?token=abcdef0123456789abcdef"]
)
async def test_password_in_a_url_is_in_no_outcome(problem: Callable[[str], Exception], url: str) -> None:
    """What is kept of a failure is read by everybody who may see `stats` and `dead`."""
    outcome = await attempt_delivery(raising(problem(f"no route to {url}, again")), entry(), POLICY, "")
    assert isinstance(outcome, Failed | DeadLettered | PauseRequested)
    for text in (outcome.problem.fact, str(outcome.problem)):
        assert "no route to" in text
        assert mask_url(url) in text
        assert "hunter2" not in text
        assert "abcdef" not in text


async def test_error_of_the_sink_is_judged_by_the_attempts_before() -> None:
    problem = DeliveryError("no")
    outcomes = [await attempt_delivery(raising(problem), entry(n), POLICY, "") for n in range(4)]
    assert outcomes == [
        Failed(problem, 100),
        Failed(problem, 200),
        Failed(problem, 300),
        DeadLettered(problem),
    ]


async def test_crash_of_the_sink_is_a_failed_attempt_with_its_cause() -> None:
    crash = ZeroDivisionError("oops")
    outcome = await attempt_delivery(raising(crash), entry(), POLICY, "")
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.problem, SinkCrashedError)
    assert (outcome.problem.fact, outcome.problem.__cause__) == ("ZeroDivisionError: oops", crash)


async def test_failure_of_redis_is_no_outcome_of_the_message() -> None:
    with pytest.raises(RedisUnreachableError):
        await attempt_delivery(raising(RedisUnreachableError("cut")), entry(), POLICY, "")


async def test_sink_that_cancels_itself_has_failed() -> None:
    outcome = await attempt_delivery(raising(asyncio.CancelledError()), entry(), POLICY, "")
    assert isinstance(outcome, Failed)
    assert outcome.problem.fact == "the sink cancelled it"


async def test_cancelled_task_is_no_failed_attempt() -> None:
    sending = asyncio.Event()

    async def send(_: Delivery) -> str | None:
        sending.set()
        await asyncio.Event().wait()
        return None

    task = asyncio.ensure_future(attempt_delivery(send, entry(), POLICY, ""))
    await sending.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
