"""What whole minutes have brought."""

from __future__ import annotations

from rfctl.store import TotalsSample
from rfctl.store.recent_totals import TotalsByMinute
from rfctl.store.recent_work import MinuteCounts


def sample(at_s: int, ins: int, outs: int = 0) -> TotalsSample:
    return TotalsSample(at_s * 1000, {"messages_in": ins, "messages_out": ins, "merged": outs})


def test_minute_is_the_difference_of_two_samples() -> None:
    minutes = TotalsByMinute()
    for at_s in range(0, 181, 2):
        minutes.keep(sample(at_s, at_s * 2, at_s))
    assert minutes.count() == MinuteCounts((120, 120, 120), (60, 60, 60))


def test_first_minute_is_not_over_yet() -> None:
    minutes = TotalsByMinute()
    minutes.keep(sample(0, 7))
    minutes.keep(sample(59, 70))
    assert minutes.count() == MinuteCounts()


def test_fifteen_minutes_are_kept() -> None:
    minutes = TotalsByMinute()
    for minute in range(40):
        minutes.keep(sample(60 * minute, minute * minute))
    assert len(minutes.count().ins) == 15
    assert minutes.count().ins[-1] == 39**2 - 38**2


def test_totals_that_went_back_begin_anew() -> None:
    minutes = TotalsByMinute()
    for at_s, ins in ((0, 5), (60, 9), (120, 2), (180, 3)):
        minutes.keep(sample(at_s, ins))
    assert minutes.count().ins == (1,)


def test_clock_that_went_back_begins_anew() -> None:
    minutes = TotalsByMinute()
    for at_s, ins in ((0, 5), (60, 9), (30, 9), (90, 12)):
        minutes.keep(sample(at_s, ins))
    assert minutes.count().ins == (3,)
