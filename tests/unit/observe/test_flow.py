"""A sink that falls behind, and messages that it has read and left lying."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest

from rfctl.observe.flow import find_slow_sinks, find_untried_entries
from rfctl.store import Pause, PendingSummary, RetryCause, TotalsSample, WorkerEntry
from tests.unit.observe.test_health import ALIVE, crm, look

NOW_MS = 100_000
BEFORE = {"merged": 10, "sink:crm:delivered": 10}


def codes(delivered: int, merged: int, **parts: Any) -> list[str]:
    """Return what is found of a sink that delivered so many of so many since a sample of a minute ago."""
    sample = TotalsSample(NOW_MS - 60_000, BEFORE)
    totals = {"merged": 10 + merged, "sink:crm:delivered": 10 + delivered}
    pending = PendingSummary(NOW_MS, 0, 0, 0, None, None, totals, 0, groups=[])
    daemon = msgspec.structs.replace(ALIVE, totals_before=sample)
    snapshot = dataclasses.replace(look(daemons=[daemon], sinks=[crm(**parts)]), pending=pending)
    return [finding.code for finding in find_slow_sinks(snapshot)]


@pytest.mark.parametrize(
    ("delivered", "merged", "oldest_ms", "is_found"),
    [
        (12, 41, NOW_MS - 61_000, True),
        (12, 41, NOW_MS - 59_000, False),
        (12, 41, None, False),
        (41, 41, NOW_MS - 61_000, False),
        (50, 41, NOW_MS - 61_000, False),
    ],
    ids=["behind", "a burst", "nothing left", "keeps up", "catches up"],
)
def test_sink_falls_behind_when_it_had_work_all_the_time_and_did_less(
    delivered: int, merged: int, oldest_ms: int | None, is_found: bool
) -> None:
    assert codes(delivered, merged, oldest_ms=oldest_ms) == (["sink_behind"] if is_found else [])


@pytest.mark.parametrize(
    "parts",
    [
        {"paused": Pause("moves")},
        {"retry_cause": RetryCause("no", 1, 1)},
        {"unserved_shards": 1},
    ],
)
def test_sink_that_cannot_deliver_is_another_finding(parts: dict[str, Any]) -> None:
    assert codes(0, 41, oldest_ms=1, **parts) == []


def entry(idle_ms: int, consumer: str = "forwarder") -> WorkerEntry:
    return WorkerEntry("rfctl:out", "rfctl:crm", "1-0", consumer, idle_ms, 1)


def test_message_that_lies_for_ten_minutes_is_found_for_its_sink() -> None:
    assert list(find_untried_entries([entry(600_000)])) == []
    [finding] = find_untried_entries([entry(600_001), entry(900_000), entry(1)])
    assert (finding.code, finding.subject) == ("deliveries_stuck", "crm")
    assert finding.fact == (
        "sink crm: 2 messages read and not tried yet, the oldest 15 min 0 s ago by consumer forwarder"
    )
    assert finding.fix.startswith("start the daemon again")


def test_what_another_program_has_read_is_claimed_first() -> None:
    [finding] = find_untried_entries([entry(900_000, "lost")])
    assert "redis-cli XAUTOCLAIM rfctl:out rfctl:crm forwarder 600000 0; then start" in finding.fix
