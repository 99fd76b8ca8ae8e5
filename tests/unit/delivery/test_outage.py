"""When a receiver counts as having been down."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rfctl.delivery.outage import OutageDetector, Recovery


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def detector(clock: Clock) -> OutageDetector:
    return OutageDetector(clock)


def fail(detector: OutageDetector, keys: str = "abc", *, receiver_set_wait: bool = False) -> list[bool]:
    return [detector.record_failure(key, receiver_set_wait=receiver_set_wait) for key in keys]


def succeed_after(detector: OutageDetector, clock: Clock, seconds: float, key: str = "z") -> Recovery | None:
    clock.now += seconds
    return detector.record_success(key)


def test_outage_is_three_failing_phones_and_five_seconds_without_success(
    detector: OutageDetector, clock: Clock
) -> None:
    assert fail(detector) == [False] * 3
    assert succeed_after(detector, clock, 5.0) == Recovery("z", frozenset("abc"))
    assert succeed_after(detector, clock, 60.0) is None, "it ended with the first success"


@pytest.mark.parametrize(("keys", "seconds"), [("ab", 60.0), ("aaaa", 60.0), ("abcd", 4.9)])
def test_fewer_phones_or_a_shorter_time_are_no_outage(
    detector: OutageDetector, clock: Clock, keys: str, seconds: float
) -> None:
    fail(detector, keys)
    assert succeed_after(detector, clock, seconds) is None


def test_rejected_message_keeps_its_schedule_after_recovery(detector: OutageDetector, clock: Clock) -> None:
    fail(detector)
    succeed_after(detector, clock, 5.0)
    for _ in range(5):
        assert fail(detector) == [True] * 3
        assert succeed_after(detector, clock, 60.0) is None


def test_wait_of_the_receiver_is_kept_and_is_no_sign_of_an_outage(
    detector: OutageDetector, clock: Clock
) -> None:
    assert fail(detector, receiver_set_wait=True) == [True] * 3
    assert succeed_after(detector, clock, 60.0) is None


@pytest.mark.parametrize("record", [OutageDetector.record_success, OutageDetector.record_dead_letter])
def test_phone_counts_again_after_a_success_or_a_dead_letter(
    detector: OutageDetector, clock: Clock, record: Callable[[OutageDetector, str], object]
) -> None:
    fail(detector)
    succeed_after(detector, clock, 5.0)
    for key in "abc":
        record(detector, key)
    assert fail(detector) == [False] * 3
    assert succeed_after(detector, clock, 5.0) is not None


def test_dead_letter_is_no_sign_of_an_outage(detector: OutageDetector, clock: Clock) -> None:
    fail(detector)
    detector.record_dead_letter("c")
    assert succeed_after(detector, clock, 60.0) is None
