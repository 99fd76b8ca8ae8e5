"""Values of the last minutes."""

from __future__ import annotations

import pytest

from rfctl.model.recent_values import RecentValues, find_percentile, round_ms


@pytest.mark.parametrize(
    ("value", "rounded"),
    [
        (0, 0),
        (0.4, 0),
        (7.6, 8),
        (99.4, 99),
        (104, 100),
        (5003, 5000),
        (7849, 7800),
        (123_456, 120_000),
        (-3, 0),
    ],
)
def test_value_has_two_digits(value: float, rounded: int) -> None:
    assert round_ms(value) == rounded


@pytest.mark.parametrize(
    ("share", "value"), [(0.0, 1), (0.5, 1), (0.51, 20), (0.95, 20), (0.96, 300), (1.0, 300)]
)
def test_percentile_is_the_value_that_so_many_do_not_exceed(share: float, value: int) -> None:
    assert find_percentile({300: 5, 1: 50, 20: 45}, share) == value


def test_nothing_has_no_percentile() -> None:
    assert find_percentile({}, 0.5) is None


def test_values_are_forgotten_after_five_minutes() -> None:
    now_s = 0.0
    values = RecentValues(lambda: now_s)
    values.add(10)
    assert values.count() == {10: 1}
    now_s = 299
    values.add(20)
    assert values.count() == {10: 1, 20: 1}
    now_s = 300
    assert values.count() == {20: 1}
    now_s = 700
    assert values.count() == {}


def test_of_a_flood_the_newest_are_kept() -> None:
    values = RecentValues()
    for value in [1] * 5000 + [2] * 500:
        values.add(value)
    assert values.count() == {1: 500, 2: 500}
