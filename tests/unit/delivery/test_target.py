"""What a target says of its schedule."""

from __future__ import annotations

import pytest

from rfctl.delivery import RetryPolicy

DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("delays_ms", "longest_ms"), [((), DAY_MS), ((1_000, 5_000), DAY_MS), ((1_000, 2 * DAY_MS), 2 * DAY_MS)]
)
def test_longest_wait_is_that_of_the_schedule_or_a_day(delays_ms: tuple[int, ...], longest_ms: int) -> None:
    assert RetryPolicy(retry_delays_ms=delays_ms).longest_wait_ms == longest_ms
