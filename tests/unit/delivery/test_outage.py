"""When a receiver counts as having been down."""

from __future__ import annotations

import pytest

from rfctl.delivery.outage import OutageDetector


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outage(clock: Clock) -> OutageDetector:
    return OutageDetector(clock)


def all_fail(outage: OutageDetector, names: str = "abc", *, told_to_wait: bool = False) -> list[bool]:
    return [outage.failed(name, told_to_wait=told_to_wait) for name in names]


def served_after(outage: OutageDetector, clock: Clock, seconds: float, name: str = "z") -> bool:
    clock.now += seconds
    return outage.served(name)


def test_three_phones_and_nobody_served_for_five_seconds_were_an_outage(outage: OutageDetector, clock: Clock):
    assert all_fail(outage) == [False] * 3
    assert served_after(outage, clock, 5.0)
    assert not served_after(outage, clock, 60.0), "it ended with the first success"


@pytest.mark.parametrize(("names", "seconds"), [("ab", 60.0), ("aaaa", 60.0), ("abcd", 4.9)])
def test_fewer_phones_or_a_shorter_time_were_none(
    outage: OutageDetector, clock: Clock, names: str, seconds: float
):
    all_fail(outage, names)
    assert not served_after(outage, clock, seconds)


def test_who_is_refused_also_when_the_receiver_is_back_keeps_the_schedule(
    outage: OutageDetector, clock: Clock
):
    all_fail(outage)
    served_after(outage, clock, 5.0)
    for _ in range(5):
        assert all_fail(outage) == [True] * 3
        assert not served_after(outage, clock, 60.0)


def test_who_was_told_to_wait_keeps_that_wait_and_is_no_sign(outage: OutageDetector, clock: Clock):
    assert all_fail(outage, told_to_wait=True) == [True] * 3
    assert not served_after(outage, clock, 60.0)


@pytest.mark.parametrize("verb", ["served", "given_up"])
def test_who_was_served_or_given_up_counts_again(outage: OutageDetector, clock: Clock, verb: str):
    all_fail(outage)
    served_after(outage, clock, 5.0)
    for name in "abc":
        getattr(outage, verb)(name)
    assert all_fail(outage) == [False] * 3
    assert served_after(outage, clock, 5.0)


def test_a_dead_message_is_no_sign(outage: OutageDetector, clock: Clock):
    all_fail(outage)
    outage.given_up("c")
    assert not served_after(outage, clock, 60.0)
