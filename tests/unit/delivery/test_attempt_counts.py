"""Attempts are counted by what came of them, with how long they took."""

from __future__ import annotations

import pytest

from rfctl.delivery.attempt import DeadLettered, Delivered, Failed, Missing, Outcome, PauseRequested
from rfctl.delivery.attempt_counts import AttemptCounts
from rfctl.errors import RedisUnreachableError
from rfctl.sinks.contract import DeliveryError

PROBLEM = DeliveryError("no")


async def measure(counts: AttemptCounts, outcome: Outcome | Exception) -> Outcome:
    async def attempt() -> Outcome:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return await counts.measure(attempt())


def totals(counts: AttemptCounts) -> dict[str, tuple[int, float]]:
    """How many attempts there were of each outcome, and how long they took together, s."""
    return {word: (sum(each.counts), each.total) for word, each in counts.seconds.items() if sum(each.counts)}


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        (Delivered(), "delivered"),
        (Delivered("5-0"), "delivered"),
        (Failed(PROBLEM, 100), "failed"),
        (DeadLettered(PROBLEM), "dead"),
        (PauseRequested(PROBLEM), "paused"),
    ],
)
async def test_attempt_is_counted_by_its_outcome_and_time(outcome: Outcome, word: str) -> None:
    times = iter([10.0, 10.5])
    counts = AttemptCounts(lambda: next(times))
    assert await measure(counts, outcome) is outcome
    assert totals(counts) == {word: (1, 0.5)}


async def test_what_was_no_attempt_at_the_receiver_is_not_counted() -> None:
    counts = AttemptCounts()
    await measure(counts, Missing())
    with pytest.raises(RedisUnreachableError):
        await measure(counts, RedisUnreachableError("away"))
    assert totals(counts) == {}


async def test_last_minutes_know_what_delivered_and_what_did_not() -> None:
    counts = AttemptCounts(iter([0.0, 0.008, 1.0, 1.5, 2.0, 2.0]).__next__)
    await measure(counts, Delivered())
    await measure(counts, Failed(PROBLEM, 100))
    assert (counts.delivered.count(), counts.failed.count()) == ({8: 1}, {500: 1})
