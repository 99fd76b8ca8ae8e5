"""When a sink counts as standing still, and which missing messages are still news."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rfctl.observe.deliveries import find_delivery_faults
from rfctl.store import ConfiguredSink, Pause, SinkStatus

STATUS = SinkStatus(
    sink=ConfiguredSink("crm", "http", "rfctl:crm", patience_ms=24_000), delivered=0, failures=0, dead=0, lag=1,
    unacknowledged=0, phones_waiting=0, messages_waiting=0, oldest_ms=1, next_retry_ms=None, paused=None,
    leased_by=("d",), unserved_shards=0,
)  # fmt: skip


def codes(status: SinkStatus) -> list[str]:
    return [finding.code for finding in find_delivery_faults(status)]


@pytest.mark.parametrize(("stalled_ms", "is_stalled"), [(None, False), (24_000, False), (24_001, True)])
def test_sink_stands_still_beyond_its_patience(stalled_ms: int | None, is_stalled: bool) -> None:
    assert codes(replace(STATUS, stalled_ms=stalled_ms)) == ["sink_stalled"] * is_stalled


def test_paused_sink_does_not_stand_still() -> None:
    assert codes(replace(STATUS, stalled_ms=90_000, paused=Pause("lunch"))) == []


def test_missing_messages_are_a_finding_for_a_day() -> None:
    assert codes(replace(STATUS, missing=2, missing_ago_ms=86_399_999)) == ["messages_missing"]
    assert codes(replace(STATUS, missing=2, missing_ago_ms=86_400_000)) == []
