"""What became of the last requests is counted by source, and forgotten after ten minutes."""

from __future__ import annotations

from rfctl.ingest.tally import Tally
from rfctl.store import RecentRequests


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_sources_with_rejected_requests_are_counted_by_reason() -> None:
    tally = Tally(Clock())
    tally.count("quiet")
    for _ in range(3):
        tally.count("salon")
        tally.count("salon", "signature")
    tally.count("salon", "invalid-body")
    assert tally.read() == {"salon": RecentRequests(3, {"signature": 3, "invalid-body": 1})}


def test_counts_go_after_ten_minutes_and_no_sooner() -> None:
    clock = Clock()
    tally = Tally(clock)
    tally.count("salon", "signature")
    clock.now = 9 * 60 + 59
    tally.count("salon", "signature")
    assert tally.read()["salon"].rejected == {"signature": 2}
    clock.now = 10 * 60
    assert tally.read()["salon"].rejected == {"signature": 1}
    clock.now = 20 * 60
    assert tally.read() == {}


def test_years_of_requests_take_no_memory() -> None:
    clock = Clock()
    tally = Tally(clock)
    for _ in range(1000):
        clock.now += 60
        tally.count("salon")
    assert len(tally._minutes) == 10
