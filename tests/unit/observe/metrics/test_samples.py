"""Facts become samples of the families, with every value of a closed set, and with no word of a person."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, get_args

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rfctl.batching import TurnCounts
from rfctl.delivery.attempt_counts import AttemptCounts
from rfctl.model.closed_sets import Reason
from rfctl.observe import Finding, Snapshot, findings
from rfctl.observe.catalogue import CATALOGUE
from rfctl.observe.metrics import FAMILIES, DaemonFacts, Sample, read_daemon, read_redis
from rfctl.observe.metrics.exposition import render
from rfctl.store import (
    AsideBatch,
    AsideBatches,
    BatchMeasures,
    ConfiguredSink,
    ConsumerGroup,
    DaemonRecord,
    Pause,
    PendingSummary,
    RetryCause,
    SinkStatus,
)
from rfctl.store.server_info import ServerInfo

PHONE = "79001234567"
NOW_MS = 1_000_000
FACTS = DaemonFacts(
    version="1.2", role="all", event_loop="uvloop 1", is_ready=True, turn_age_ms=1500, lost_log_lines=4,
    sources={"salon"},
)  # fmt: skip


def build_snapshot(**parts: Any) -> Snapshot:
    """A snapshot in which everything is there, and a phone wherever there may be one."""
    sink = SinkStatus(
        sink=ConfiguredSink("crm", "http", "rfctl:sink:crm"), delivered=7, failures=5, dead=2, lag=3, unacknowledged=4,
        phones_waiting=1, messages_waiting=2, oldest_ms=NOW_MS - 9000, next_retry_ms=NOW_MS, paused=Pause(PHONE),
        leased_by=("d",), unserved_shards=1, retry_cause=RetryCause(PHONE, NOW_MS, NOW_MS - 8000), missing=1,
        stalled_ms=2500,
    )  # fmt: skip
    totals = {
        "messages_in": 40, "duplicates": 3, "messages_out": 30, "merged": 10, "messages_discarded": 1, "stale": 2,
        "batches_missing": 1, "keys_taken": 2, "quarantined": 6, "reason:quiet": 8, "reason:size": 2,
        f"reason:{PHONE}": 9, "dropped:closed": 7, f"dropped:{PHONE}": 1, "skipped:status": 4, "skipped:event:typing": 2, f"skipped:{PHONE}": 9,
    }  # fmt: skip
    pending = PendingSummary(
        NOW_MS, 5, 9, 1, NOW_MS - 3000, NOW_MS - 500, totals, 12,
        groups=[ConsumerGroup("rfctl:out", PHONE, 11, 2, 3, again=5, again_pending=1), ConsumerGroup("rfctl:out", "rfctl:sink:crm", 3, 4, 0)],
    )  # fmt: skip
    daemons = [
        DaemonRecord(
            id="a", host="h", pid=1, version="1", role="webhook", turned_ms=NOW_MS, lost_log_lines=2
        ),
        DaemonRecord(
            id="b", host="h", pid=2, version="1", role="processor", turned_ms=NOW_MS - 700, lost_log_lines=3
        ),
    ]
    nothing: dict[str, Any] = {"write_refusals": [], "orphaned": []}
    return Snapshot(
        server=ServerInfo("redis://h/0", 0, "r", "Redis", "7.0.0", "noeviction", True, "the test"),
        pending=pending, sinks=[sink], daemons=daemons, dead=2, quarantine=6,
        aside=AsideBatches(1, [AsideBatch(PHONE, "x", NOW_MS)]), **(nothing | parts),
    )  # fmt: skip


def by_labels(samples: Iterable[Sample]) -> dict[str, dict[tuple[str, ...], Any]]:
    """Return the values by name and labels; no pair of those comes twice."""
    values: dict[str, dict[tuple[str, ...], Any]] = {}
    for sample in samples:
        assert sample.labels not in values.setdefault(sample.name, {}), sample
        assert len(sample.labels) == len(FAMILIES[sample.name].labels)
        values[sample.name][sample.labels] = sample.value
    return values


def read_all(facts: DaemonFacts = FACTS, **parts: Any) -> dict[str, dict[tuple[str, ...], Any]]:
    snapshot = build_snapshot(**parts)
    return by_labels(
        [*read_daemon(facts, is_redis_up=True), *read_redis(snapshot, findings(snapshot), ["closed"])]
    )


def test_every_family_has_a_sample_and_every_sample_a_family() -> None:
    facts = replace(
        FACTS,
        redis_errors={"redis-away": 1},
        attempts={"crm": AttemptCounts().seconds},
        sink_bytes={"crm": 9},
    )
    assert read_all(facts).keys() == FAMILIES.keys()


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("rfctl_build_info", ("1.2", "all", "uvloop 1"), 1),
        ("rfctl_daemon_ready", (), 1),
        ("rfctl_daemon_turn_age_seconds", (), 1.5),
        ("rfctl_daemon_lost_log_lines_total", (), 4),
        ("rfctl_messages_total", (), 40),
        ("rfctl_duplicate_messages_total", (), 3),
        ("rfctl_handed_over_messages_total", (), 30),
        ("rfctl_merged_messages_total", (), 10),
        ("rfctl_discarded_messages_total", (), 1),
        ("rfctl_overdue_batches_total", (), 2),
        ("rfctl_missing_batches_total", (), 3),
        ("rfctl_unparsed_parts_total", (), 6),
        ("rfctl_dropped_messages_total", ("closed",), 7),
        ("rfctl_dropped_messages_total", ("former",), 1),
        ("rfctl_skipped_parts_total", ("status",), 4),
        ("rfctl_skipped_parts_total", ("own",), 0),
        ("rfctl_skipped_parts_total", ("other",), 9),
        ("rfctl_pending_batches", (), 5),
        ("rfctl_pending_messages", (), 9),
        ("rfctl_pending_oldest_age_seconds", (), 3),
        ("rfctl_pending_overdue_batches", (), 1),
        ("rfctl_pending_overdue_seconds", (), 0.5),
        ("rfctl_pending_set_aside_batches", (), 1),
        ("rfctl_stream_entries", (), 12),
        ("rfctl_dead_messages", (), 2),
        ("rfctl_quarantine_parts", (), 6),
        ("rfctl_daemons", ("processor",), 1),
        ("rfctl_daemons", ("forwarder",), 0),
        ("rfctl_processor_turn_age_seconds", (), 0.7),
        ("rfctl_daemons_lost_log_lines", (), 5),
        ("rfctl_worker_groups", (), 1),
        ("rfctl_worker_unread_messages", (), 11),
        ("rfctl_worker_unacknowledged_messages", (), 3),
        ("rfctl_worker_again_messages", (), 5),
        ("rfctl_sink_deliveries_total", ("crm", "delivered"), 7),
        ("rfctl_sink_deliveries_total", ("crm", "failed"), 3),
        ("rfctl_sink_deliveries_total", ("crm", "dead"), 2),
        ("rfctl_sink_deliveries_total", ("crm", "missing"), 1),
        ("rfctl_sink_unread_messages", ("crm",), 3),
        ("rfctl_sink_unacknowledged_messages", ("crm",), 4),
        ("rfctl_sink_waiting_phones", ("crm",), 1),
        ("rfctl_sink_waiting_messages", ("crm",), 2),
        ("rfctl_sink_oldest_age_seconds", ("crm",), 9),
        ("rfctl_sink_failing_seconds", ("crm",), 8),
        ("rfctl_sink_stalled_seconds", ("crm",), 2.5),
        ("rfctl_sink_paused", ("crm",), 1),
        ("rfctl_sink_unserved_shards", ("crm",), 1),
        ("rfctl_findings", ("sink_paused", "warning"), 1),
        ("rfctl_findings", ("writes_refused", "error"), 0),
    ],
)
def test_value_is_that_of_the_facts(name: str, labels: tuple[str, ...], value: float) -> None:
    assert read_all()[name][labels] == value


def test_every_word_of_a_closed_set_is_there_also_with_nothing_to_count() -> None:
    values = read_all()
    assert {reason for (reason,) in values["rfctl_batches_total"]} == set(get_args(Reason))
    assert {code for code, _ in values["rfctl_findings"]} == set(CATALOGUE)


def test_findings_of_one_code_are_counted_together() -> None:
    two = [Finding("sink_failing", "error", name, "f", "f") for name in ("a", "b")]
    values = by_labels(read_redis(build_snapshot(), two))
    assert values["rfctl_findings"]["sink_failing", "error"] == 2


def test_what_redis_cannot_say_is_left_out() -> None:
    pending = PendingSummary(
        NOW_MS, 0, 0, 0, None, None, {}, 0, groups=[ConsumerGroup("rfctl:out", "bots", None, 0, 0)]
    )
    snapshot = replace(build_snapshot(), pending=pending, daemons=[])
    values = by_labels(read_redis(snapshot, []))
    assert "rfctl_worker_unread_messages" not in values
    assert "rfctl_processor_turn_age_seconds" not in values
    assert values["rfctl_pending_oldest_age_seconds"] == values["rfctl_pending_overdue_seconds"] == {(): 0}


def test_source_of_no_settings_is_former_and_each_of_the_settings_is_there() -> None:
    requests = {
        ("salon", "signature"): 2,
        ("gone", "accepted"): 3,
        ("older", "accepted"): 4,
        ("", "no-path"): 5,
    }
    facts = replace(FACTS, requests=requests)
    values = by_labels(read_daemon(facts, is_redis_up=True))
    assert values["rfctl_daemon_requests_total"] == {
        ("", "no-path"): 5, ("former", "accepted"): 7, ("salon", "accepted"): 0, ("salon", "signature"): 2,
        ("salon", "content-type"): 0, ("salon", "invalid-body"): 0, ("salon", "body-too-large"): 0,
    }  # fmt: skip
    assert values["rfctl_daemon_messages_total"] == {("salon", "stored"): 0, ("salon", "duplicate"): 0}


def write_page(accept: str = "") -> str:
    snapshot = build_snapshot()
    samples = [*read_daemon(FACTS, is_redis_up=True), *read_redis(snapshot, findings(snapshot))]
    return render(samples, accept)[0].decode()


def test_no_phone_and_no_word_of_a_stranger_is_on_the_page() -> None:
    page = write_page()
    assert PHONE not in page
    assert not re.search(r'"[^"]*\d{7}[^"]*"', page)


def test_page_has_type_and_help_of_every_family_and_what_the_process_uses() -> None:
    pages = {family.name: family for family in text_string_to_metric_families(write_page())}
    for name in read_all():
        family = pages[name.removesuffix("_total")]
        assert (family.type, family.documentation) == (FAMILIES[name].kind, FAMILIES[name].help)
    assert "process_resident_memory_bytes" in pages


def test_histogram_has_all_that_a_quantile_needs() -> None:
    turns = TurnCounts()
    turns.call_seconds.add(0.003)
    turns.call_seconds.add(60)
    facts = replace(FACTS, turns=turns)
    page = render(read_daemon(facts, is_redis_up=False), "")[0].decode()
    name = "rfctl_daemon_handover_call_seconds"
    lines = [line for line in page.splitlines() if line.startswith(name)]
    assert f'{name}_bucket{{le="0.002"}} 0.0' in lines
    assert f'{name}_bucket{{le="0.005"}} 1.0' in lines
    assert f'{name}_bucket{{le="+Inf"}} 2.0' in lines
    assert f"{name}_count 2.0" in lines
    assert f"{name}_sum 60.003" in lines
    assert "rfctl_redis_up 0.0" in page


def test_what_is_measured_of_batches_is_in_seconds() -> None:
    measures = BatchMeasures()
    measures.add([700, 500, 4, -6201, 0, -5001])
    page = render(read_daemon(replace(FACTS, measures=measures), is_redis_up=False), "")[0].decode()
    lines = page.splitlines()
    for line in (
        'batch_messages_bucket{le="2.0"} 1.0', 'batch_messages_bucket{le="3.0"} 2.0', "batch_messages_sum 4.0",
        'batch_wait_seconds_bucket{le="5.0"} 1.0', 'batch_wait_seconds_bucket{le="7.5"} 2.0', "batch_wait_seconds_sum 11.2",
        'batch_lateness_seconds_bucket{le="0.002"} 1.0', "batch_lateness_seconds_sum 0.004",
        'message_gap_seconds_bucket{le="0.5"} 1.0', "message_gap_seconds_count 2.0",
    ):  # fmt: skip
        assert f"rfctl_daemon_{line}" in lines


def test_scraper_gets_the_form_that_it_asks_for() -> None:
    _, content_type = render([], "application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert write_page("application/openmetrics-text; version=1.0.0").endswith("# EOF\n")
    assert render([], "")[1].startswith("text/plain")
