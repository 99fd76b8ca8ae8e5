"""The rates of the last minute: what no daemon knows is not said, and what was deleted makes no rate below zero."""

from __future__ import annotations

import pytest

from rfctl.observe import measure_rates
from rfctl.store import DaemonRecord, TotalsSample
from rfctl.store.recent_totals import RecentTotals

NOW_MS = 1_758_000_000_000


def daemon(age_ms: int, counts: dict[str, int]) -> DaemonRecord:
    sample = TotalsSample(NOW_MS - age_ms, counts)
    return DaemonRecord(id="a", host="h", pid=1, version="1", role="all", totals_before=sample)


def test_rate_is_what_was_counted_since_the_sample_and_no_more() -> None:
    rates = measure_rates(
        [daemon(30_000, {"messages_in": 100, "sink:crm:delivered": 7})],
        {"messages_in": 110, "sink:crm:delivered": 7},
        NOW_MS,
    )
    assert rates is not None
    assert rates.window_ms == 30_000
    assert rates.counts["messages_in"] == 10
    assert rates.of_sink("crm", "delivered") == 0
    assert rates.of_sink("bot", "delivered") is None


def test_sample_nearest_to_a_minute_counts_since_totals_are_those_of_all_daemons() -> None:
    rates = measure_rates(
        [daemon(6_000, {"merged": 9}), daemon(61_000, {"merged": 4}), daemon(40_000, {"merged": 5})],
        {"merged": 10},
        NOW_MS,
    )
    assert rates is not None
    assert (rates.window_ms, rates.counts) == (61_000, {"merged": 6})


@pytest.mark.parametrize(
    "daemons",
    [
        [],
        [DaemonRecord(id="a", host="h", pid=1, version="1", role="all")],
        [daemon(1_000, {"merged": 1})],
        [daemon(30_000, {"merged": 11})],
    ],
    ids=["no-daemon", "no-sample", "too-young", "totals-deleted-since"],
)
def test_rate_that_nobody_can_tell_is_not_said(daemons: list[DaemonRecord]) -> None:
    assert measure_rates(daemons, {"merged": 10}, NOW_MS) is None


def test_samples_older_than_a_minute_are_forgotten() -> None:
    recent = RecentTotals()
    for second in range(0, 200, 2):
        recent.keep(TotalsSample(NOW_MS + second * 1000, {}))
    assert recent.oldest is not None
    assert recent.oldest.at_ms == NOW_MS + (198 - 60) * 1000


def test_clock_that_went_back_leaves_no_sample_of_the_future() -> None:
    recent = RecentTotals()
    recent.keep(TotalsSample(NOW_MS, {}))
    recent.keep(TotalsSample(NOW_MS - 5_000, {}))
    assert recent.oldest == TotalsSample(NOW_MS - 5_000, {})
