"""A histogram counts as Prometheus reads it: up to each bound, all of them, and their sum."""

from __future__ import annotations

from rfctl.model.histogram import Histogram


def test_value_counts_up_to_each_bound_that_is_not_below_it() -> None:
    histogram = Histogram([1, 2, 5])
    for value in (0.5, 1, 1.5, 5, 6, 100):
        histogram.add(value)
    assert list(histogram.accumulate()) == [(1, 2), (2, 3), (5, 4), (float("inf"), 6)]
    assert histogram.total == 114


def test_empty_histogram_has_every_bound() -> None:
    assert list(Histogram([1, 2]).accumulate()) == [(1, 0), (2, 0), (float("inf"), 0)]


def test_values_are_counted_in_their_unit_and_read_in_base_units() -> None:
    histogram = Histogram([100, 2000], per_unit=1000)
    histogram.add_all([100, 150, 2500])
    assert list(histogram.accumulate()) == [(0.1, 1), (2, 2), (float("inf"), 3)]
    assert histogram.total == 2.75
