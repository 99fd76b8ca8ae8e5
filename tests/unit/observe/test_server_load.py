"""What will make Redis refuse or lose something soon, and clocks that differ."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest

from rfctl.observe import findings
from rfctl.observe.examination import Examination
from rfctl.observe.facts import Receiver, ReceiverAddress
from rfctl.observe.server_load import find_clock_differences, find_load
from rfctl.store import ServerFacts
from tests.unit.observe.test_health import ALIVE, look

CRM = ReceiverAddress("crm", "crm.example", 443, is_tls=True, asks_date=True, set_by="c.toml:3")


def server(**facts: Any) -> ServerFacts:
    return ServerFacts(**({"median_ms": 0.3, "ahead_ms": 0.0, "doubt_ms": 0.1} | facts))


@pytest.mark.parametrize(
    ("facts", "codes"),
    [
        ({}, []),
        ({"used_memory": 84, "max_memory": 100}, []),
        ({"used_memory": 86, "max_memory": 100}, ["memory_low"]),
        ({"used_memory": 101, "max_memory": 100}, []),  # it is full: writes_refused says so
        ({"used_memory": 86, "max_memory": 0}, []),
        ({"clients": 8, "max_clients": 10}, []),
        ({"clients": 9, "max_clients": 10}, ["clients_low"]),
        ({"evicted_keys": 1}, ["keys_evicted"]),
        ({"fsync": "no"}, ["fsync_disabled"]),
        ({"fsync": "everysec"}, []),
        ({"last_save_failed": True}, ["save_failed"]),
        ({"last_rewrite_failed": True}, ["save_failed"]),
        ({"median_ms": 19.0}, []),
        ({"median_ms": 21.0}, ["redis_slow"]),
    ],
)
def test_shortage_is_found_before_it_refuses(facts: dict[str, Any], codes: list[str]) -> None:
    assert [finding.code for finding in find_load(server(**facts))] == codes


@pytest.mark.parametrize(
    ("ahead_ms", "doubt_ms", "words"),
    [(2000.0, 0.0, ""), (2600.0, 500.0, "ahead of"), (-3_600_000.0, 1.0, "behind"), (9000.0, 8000.0, "")],
)
def test_clock_differs_beyond_two_seconds_and_what_is_uncertain(
    ahead_ms: float, doubt_ms: float, words: str
) -> None:
    facts = server(ahead_ms=ahead_ms, doubt_ms=doubt_ms)
    receivers = (Receiver(CRM, ahead_ms=ahead_ms, doubt_ms=doubt_ms), Receiver(CRM, "away"))
    differences = list(find_clock_differences(Examination(server=facts, receivers=receivers)))
    assert [finding.code for finding in differences] == (
        ["clock_differs", "sink_clock_differs"] if words else []
    )
    assert all(words in finding.fact for finding in differences)
    assert [finding.set_by for finding in differences[1:]] == (["c.toml:3"] if words else [])


def overdue(**parts: Any) -> list[str]:
    snapshot = look(**parts)
    pending = dataclasses.replace(snapshot.pending, overdue=2, next_due_ms=snapshot.pending.now_ms - 30_000)
    return [finding.line() for finding in findings(dataclasses.replace(snapshot, pending=pending))]


def test_overdue_batches_are_a_finding_where_a_processor_lives() -> None:
    [line] = overdue(daemons=[ALIVE])
    assert line.startswith("2 batches overdue, the first by 30.0 s, although a processor lives")


def test_processor_that_takes_no_turn_is_missing() -> None:
    stuck = msgspec.structs.replace(ALIVE, beat_ms=20_000, turned_ms=5_000)
    [line] = overdue(daemons=[stuck])
    assert line.startswith("no processor is alive")
