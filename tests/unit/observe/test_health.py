"""What an operator is told to see to: the findings about a snapshot."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from rfctl.observe import findings
from rfctl.observe.snapshot import Snapshot
from rfctl.observe.workers import find_stuck_entries, find_unread_groups
from rfctl.store import (
    ConfiguredSink,
    ConsumerGroup,
    DaemonRecord,
    Pause,
    PendingSummary,
    RetryCause,
    SinkStatus,
    WorkerEntry,
    WriteRefusal,
)
from rfctl.store.server_info import ServerInfo

HERE = ServerInfo("redis://127.0.0.1:1/0", 0, "r", "Redis", "7.0.0", "noeviction", True, "the test")


def about(*groups: ConsumerGroup, entries: int = 3) -> list[str]:
    pending = PendingSummary(0, 0, 0, 0, None, None, {}, entries, groups=list(groups))
    snapshot = Snapshot(
        server=HERE, write_refusals=[], daemons=[], pending=pending, sinks=[], orphaned=[], dead=0, quarantine=0
    )  # fmt: skip
    return [finding.line() for finding in findings(snapshot) if finding.subject]


@pytest.mark.parametrize(
    ("lag", "pending", "idle_ms", "is_warned"),
    [
        (3, 0, None, True),
        (0, 0, None, False),
        (None, 0, None, True),
        (3, 0, 299_000, False),
        (3, 0, 301_000, True),
        (0, 2, 301_000, True),
        (0, 0, 86_400_000, False),
        (None, 0, 86_400_000, False),
    ],
)
def test_workers_are_silent_when_something_is_left_and_nobody_asks(
    lag: int | None, pending: int, idle_ms: int | None, is_warned: bool
) -> None:
    assert bool(about(ConsumerGroup("rfctl:out", "bots", lag, pending, idle_ms))) == is_warned


def test_unread_group_on_several_shards_is_one_finding_with_the_sum() -> None:
    groups = [ConsumerGroup(f"rfctl:{{{shard}}}:out", "bots", 2, 1, 400_000) for shard in range(3)]
    [line] = about(*groups)
    assert "9 messages are left" in line
    assert "on each of 3 shards, in redis://127.0.0.1:1/0: redis-cli XGROUP DESTROY" in line


def test_group_of_a_sink_in_the_settings_is_given_up_there_first() -> None:
    pending = PendingSummary(
        0, 0, 0, 0, None, None, {}, 3, groups=[ConsumerGroup("rfctl:out", "bots", 3, 0, None)]
    )
    configured = ConfiguredSink("workers", "stream", "bots", forwarded=False)
    [finding] = find_unread_groups(dataclasses.replace(look(sinks=[crm(sink=configured)]), pending=pending))
    assert finding.fix == (
        "start its workers; or give them up: take sinks.workers out of the settings of every daemon and reload, then, "
        "in redis://127.0.0.1:1/0: redis-cli XGROUP DESTROY rfctl:out bots"
    )


@pytest.mark.parametrize("counts", [{"again": 2}, {"again": 1, "again_pending": 1}], ids=["unread", "taken"])
@pytest.mark.parametrize(("idle_ms", "is_warned"), [(None, True), (299_000, False), (301_000, True)])
def test_workers_that_leave_what_was_sent_again_are_missed(
    counts: dict[str, Any], idle_ms: int | None, is_warned: bool
) -> None:
    lines = about(ConsumerGroup("rfctl:out", "bots", 0, 0, idle_ms, **counts), entries=0)
    assert len(lines) == is_warned
    assert all("2 dead letters sent again wait for a worker" in line for line in lines)
    assert not any("trimmed" in line for line in lines)


def test_group_with_messages_and_with_dead_letters_again_has_one_finding_for_both() -> None:
    keys = ("rfctl:worker:bots:again", "rfctl:worker:bots:done")
    [line] = about(ConsumerGroup("rfctl:out", "bots", 2, 1, None, again=1, worker_keys=keys))
    assert line == (
        "group bots: nobody reads it, it has no worker: 3 messages are left, and the stream is not trimmed behind them; "
        "1 dead letter sent again waits for a worker [group_unread] (start its workers; or give them up, what was sent again too, in "
        f"redis://127.0.0.1:1/0: redis-cli XGROUP DESTROY rfctl:out bots; redis-cli DEL {' '.join(keys)})"
    )


def test_letters_that_a_program_leaves_on_several_shards_are_one_finding() -> None:
    groups = [
        ConsumerGroup(f"rfctl:{{{shard}}}:out", "bots", 0, 0, 2, again=2, worker_keys=(f"{{{shard}}}:again",))
        for shard in range(2)
    ]
    [line] = about(*groups)
    assert "does not read {0}:again and 1 more: 4 dead letters sent again wait for a worker" in line
    assert "redis-cli DEL '{0}:again'; redis-cli DEL '{1}:again'" in line


def test_a_name_that_a_shell_would_act_on_is_quoted() -> None:
    [line] = about(ConsumerGroup("rfctl:out", "b; rm x", 1, 0, None))
    assert "XGROUP DESTROY rfctl:out 'b; rm x'" in line


def look(**parts: Any) -> Snapshot:
    pending = PendingSummary(10_000, 0, 0, 0, None, None, {}, 0, groups=[])
    nothing: dict[str, Any] = {
        "write_refusals": [], "daemons": [], "sinks": [], "orphaned": [], "dead": 0, "quarantine": 0,
    }  # fmt: skip
    return Snapshot(server=HERE, pending=pending, **(nothing | parts))


def crm(**parts: Any) -> SinkStatus:
    quiet: dict[str, Any] = {
        "delivered": 0, "failures": 0, "dead": 0, "lag": 0, "unacknowledged": 0, "phones_waiting": 0, "messages_waiting": 0,
        "oldest_ms": None, "next_retry_ms": None, "paused": None, "leased_by": ("d",), "unserved_shards": 0,
    }  # fmt: skip
    return SinkStatus(**({"sink": ConfiguredSink("crm", "http", "rfctl:crm")} | quiet | parts))


ALIVE = DaemonRecord(id="d", host="h", pid=1, version="0", role="all")


def test_a_healthy_rfctl_has_no_findings() -> None:
    assert findings(look(daemons=[ALIVE], sinks=[crm()])) == []


def test_a_refused_write_comes_first_and_no_daemon_is_called_missing() -> None:
    refusal = WriteRefusal("OOM", "its memory is full")
    first, second = findings(look(write_refusals=[refusal], sinks=[crm(unserved_shards=1, leased_by=())]))
    assert (first.code, first.severity, first.fix) == ("writes_refused", "error", refusal.next)
    assert second.code == "daemons_unknown"


def test_missing_daemons_are_found_for_the_processor_and_each_sink() -> None:
    missing = findings(look(sinks=[crm(unserved_shards=1, leased_by=())]))
    assert [(finding.code, finding.subject) for finding in missing] == [
        ("processor_missing", ""), ("sink_unserved", "crm"),
    ]  # fmt: skip


def test_failing_sink_is_reported_with_its_error_and_next_retry() -> None:
    failing = crm(
        phones_waiting=2, next_retry_ms=15_000, retry_cause=RetryCause("answered 500", 9_000, 4_000)
    )
    [finding] = findings(look(daemons=[ALIVE], sinks=[failing]))
    assert (finding.code, finding.severity, finding.subject) == ("sink_failing", "error", "crm")
    assert finding.fact == (
        "sink crm fails: answered 500; 2 phones wait for a retry; the first failed 6.0 s ago, the last 1.0 s ago"
    )
    assert finding.fix.startswith("next retry in 5.0 s; rfctl resume crm retries now")


def test_a_paused_sink_announces_no_retry() -> None:
    paused = crm(
        paused=Pause("moves"), phones_waiting=1, next_retry_ms=1, retry_cause=RetryCause("no", 9_000, 9_000)
    )
    failing, pause = findings(look(daemons=[ALIVE], sinks=[paused]))
    assert pause.line() == "sink crm is paused: moves [sink_paused] (rfctl resume crm)"
    assert failing.fix == "rfctl resume crm retries now"


def test_dead_letters_and_quarantine_are_the_last_findings() -> None:
    last = findings(look(daemons=[ALIVE], dead=2, quarantine=1))
    assert [finding.line() for finding in last] == [
        "dead: 2 messages that a sink did not take [dead_letters] (rfctl dead list)",
        "quarantine: 1 request that rfctl could not parse [quarantined_requests] (rfctl quarantine list)",
    ]


def test_entries_of_which_no_more_were_looked_at_are_as_many_or_more() -> None:
    entries = [WorkerEntry("rfctl:out", "bots", f"{number}-0", "c", 700_000, 1) for number in range(100)]
    [many] = find_stuck_entries(entries)
    [fewer] = find_stuck_entries(entries[1:])
    assert "100 messages or more read and not acknowledged" in many.fact
    assert "99 messages read and not acknowledged" in fewer.fact
