"""What another writer does to a list shows between two looks at it, and no list is watched until it expires."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rfctl.cli.adopt import compare_looks, limit_watch
from rfctl.store import StrayList

LIST = StrayList("rapid-fire:1", "1", "rapid-fire:1", 3, 8000, 0, "other", "1")


@pytest.mark.parametrize(
    ("now", "change"),
    [
        (LIST, ""),
        (replace(LIST, lives_ms=5000), ""),
        (replace(LIST, lives_ms=9900), "expiry changed"),
        (replace(LIST, lives_ms=None), "expiry changed"),
        (replace(LIST, messages=4, lives_ms=9000), "grew"),
        (replace(LIST, messages=2), "shrank"),
        (None, "vanished"),
    ],
)
def test_change_of_a_list_is_named(now: StrayList | None, change: str) -> None:
    assert compare_looks(LIST, now) == change


def test_expiry_that_somebody_sets_is_named() -> None:
    assert compare_looks(replace(LIST, lives_ms=None), LIST) == "expiry changed"


@pytest.mark.parametrize(
    ("lives_ms", "watch_s"),
    [((None,), 3.0), ((8000, None), 3.0), ((60_000, 4500), 2.5), ((1000,), 0.0), ((), 3.0)],
)
def test_no_list_expires_because_it_is_watched(lives_ms: tuple[int | None, ...], watch_s: float) -> None:
    assert limit_watch([replace(LIST, lives_ms=lives) for lives in lives_ms], 3.0) == watch_s
