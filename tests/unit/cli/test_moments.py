"""Moments as an operator writes them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from rfctl.cli.moments import parse_moment
from rfctl.errors import UsageError

NOW = int(datetime(2026, 11, 29, 10, 30, tzinfo=UTC).timestamp() * 1000)


@pytest.fixture(autouse=True)
def zone() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TZ", "MSK-3")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90s", "2026-11-29T10:28:30+00:00"),
        ("10m", "2026-11-29T10:20:00+00:00"),
        ("2h", "2026-11-29T08:30:00+00:00"),
        ("1d", "2026-11-28T10:30:00+00:00"),
        ("02:00", "2026-11-28T23:00:00+00:00"),
        ("13:30", "2026-11-29T10:30:00+00:00"),
        ("13:30:01", "2026-11-28T10:30:01+00:00"),
        ("2026-11-29T02:00:00Z", "2026-11-29T02:00:00+00:00"),
        ("2026-11-29T02:00:00", "2026-11-28T23:00:00+00:00"),
    ],
)
def test_moment_is_understood(text: str, moment: str) -> None:
    assert parse_moment(text, NOW) == int(datetime.fromisoformat(moment).timestamp() * 1000)


@pytest.mark.parametrize("text", ["", "2", "2w", "25:00", "yesterday", "٢h", "2026-13-01"])
def test_anything_else_says_what_to_write(text: str) -> None:
    with pytest.raises(UsageError, match=r"--until .*is no moment"):
        parse_moment(text, NOW, option="--until")
