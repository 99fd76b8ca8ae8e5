"""When a daemon counts as turning, and how often it feeds the watchdog."""

from __future__ import annotations

import pytest

from rfctl.daemon.readiness import Readiness
from rfctl.daemon.systemd import Notifier


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class CountingNotifier(Notifier):
    def __init__(self) -> None:
        super().__init__({})
        self.feeds = 0

    def feed_watchdog(self) -> None:
        self.feeds += 1


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def notifier() -> CountingNotifier:
    return CountingNotifier()


@pytest.fixture
def readiness(notifier: CountingNotifier, clock: Clock) -> Readiness:
    return Readiness(notifier, clock=clock)


def test_turn_age_is_measured_from_the_last_turn(readiness: Readiness, clock: Clock) -> None:
    clock.now += 7
    assert readiness.measure_turn_age_ms() == 7000
    readiness.record_turn()
    clock.now += 0.25
    assert readiness.measure_turn_age_ms() == 250


def test_watchdog_is_fed_by_turns_at_most_once_a_second(
    readiness: Readiness, notifier: CountingNotifier, clock: Clock
) -> None:
    for _ in range(20):
        readiness.record_turn()
        clock.now += 0.125
    assert notifier.feeds == 3
    clock.now += 60
    assert notifier.feeds == 3, "no turn, no notice"
