"""What screens show of a snapshot."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import msgspec
import pytest

from rfctl.batching import Rule
from rfctl.batching.batch_sizes import BatchSizes
from rfctl.observe import findings
from rfctl.observe.overview import Overview
from rfctl.observe.overviews import Beside, build_overview
from rfctl.store import ConsumerGroup, PendingBatch, PendingSummary, SweepReport, TotalsSample
from rfctl.store.recent_work import MinuteCounts, RecentAttempts, RecentWork
from tests.unit.observe.test_health import ALIVE, crm, look

KEYS = ("rfctl:worker:bot:order",)
AGAIN = ("rfctl:worker:bot:again",)
NOW_MS = 100_000


def show(
    *, waiting: tuple[PendingBatch, ...] = (), totals: dict[str, int] | None = None,
    groups: tuple[ConsumerGroup, ...] = (), **parts: Any,
) -> Overview:  # fmt: skip
    """Return the overview of a snapshot with these parts."""
    pending = PendingSummary(
        NOW_MS, 5 if waiting else 0, 9, 1, NOW_MS - 4100, None, totals or {}, 40, list(waiting), list(groups)
    )
    snapshot = dataclasses.replace(look(**parts), pending=pending)
    return build_overview(snapshot, findings(snapshot))


def test_overview_is_json_as_it_is() -> None:
    decoded = json.loads(msgspec.json.encode(show(daemons=[ALIVE], sinks=[crm()])))
    assert decoded["daemons"][0]["host"] == ALIVE.host
    assert decoded["sinks"][0]["name"] == "crm"
    assert decoded["flow"]["in_per_min"] is None


@pytest.mark.parametrize(
    ("last_ms", "due_ms", "fraction"),
    [(NOW_MS - 3000, NOW_MS + 1000, 0.75), (None, NOW_MS + 1000, 0.0), (NOW_MS - 9, NOW_MS - 1, 1.0)],
    ids=["three of four seconds", "unknown", "overdue"],
)
def test_row_says_how_much_of_its_wait_has_passed(last_ms: int | None, due_ms: int, fraction: float) -> None:
    [row] = show(waiting=(PendingBatch("7900", 2, due_ms, last_ms, "7900"),)).waiting.rows
    assert (row.fraction, row.due_in_ms) == (fraction, due_ms - NOW_MS)


def test_those_without_a_row_are_counted() -> None:
    waiting = show(waiting=(PendingBatch("7900", 2, NOW_MS, NOW_MS, "7900"),)).waiting
    assert (waiting.batches, waiting.beyond, waiting.oldest_ms) == (5, 4, 4100)


def test_flow_has_the_last_minute_by_what_a_daemon_sampled() -> None:
    sample = TotalsSample(NOW_MS - 60_000, {"messages_in": 10, "messages_out": 8, "merged": 4})
    daemon = msgspec.structs.replace(ALIVE, totals_before=sample)
    flow = show(daemons=[daemon], totals={"messages_in": 51, "messages_out": 48, "merged": 16}).flow
    assert (flow.in_per_min, flow.out_per_min) == (41, 12)
    assert flow.ratio == pytest.approx(40 / 12)


@pytest.mark.parametrize(("ago_ms", "count"), [(1000, 2), (90_000_000, 0)], ids=["now", "yesterday"])
def test_what_vanished_counts_for_a_day(ago_ms: int, count: int) -> None:
    report = SweepReport(missing=2, missing_at_ms=200_000_000 - ago_ms)
    snapshot = dataclasses.replace(
        look(sweep=report), pending=PendingSummary(200_000_000, 0, 0, 0, None, None, {}, 0)
    )
    assert build_overview(snapshot, []).flow.missing == count


def work(host: str, ins: tuple[int, ...] = (), **done: Any) -> Any:
    """Return a daemon with this in its record."""
    return msgspec.structs.replace(
        ALIVE, id=host, minutes=MinuteCounts(ins, ins), recent_work=RecentWork(**done)
    )


def test_sink_has_the_attempts_of_all_daemons_in_the_last_minutes() -> None:
    attempts = RecentAttempts({8: 97, 9: 1}, {2000: 2}), RecentAttempts({8: 96}, {3000: 4})
    daemons = [work(str(place), attempts={"crm": parts}) for place, parts in enumerate(attempts)]
    [sink] = show(daemons=daemons, sinks=[crm()]).sinks
    assert (sink.ok_share, sink.p95_ms) == (0.97, 8)


def test_sink_without_an_attempt_in_the_last_minutes_has_no_figures() -> None:
    [sink] = show(daemons=[work("a", attempts={"crm": RecentAttempts({}, {})})], sinks=[crm()]).sinks
    assert (sink.ok_share, sink.p95_ms) == (None, None)


def test_waits_and_lateness_are_those_of_all_daemons() -> None:
    flow = show(
        daemons=[
            work("a", waits={5000: 6}, lateness={1: 99}),
            work("b", waits={5000: 1, 9000: 3}, lateness={7: 1}),
        ]
    ).flow
    assert (flow.wait_p50_ms, flow.wait_p95_ms, flow.late_p99_ms) == (5000, 9000, 1)


def test_minutes_are_those_of_the_daemon_that_counts_longest() -> None:
    assert show(daemons=[work("a", (7,)), work("b", (1, 2, 3)), work("c")]).flow.ins == (1, 2, 3)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\n\n b\t", "a b"), ("x\x1b[2J", "x\\x1b[2J"), ("y" * 500, "y" * 200)],
    ids=["lines", "controls", "long"],
)
def test_text_of_a_stranger_is_one_safe_line(text: str, shown: str) -> None:
    batch = PendingBatch("7900", 2, NOW_MS, None, "7900", received_ms=NOW_MS - 10, channel="salon", text=text)
    [row] = show(waiting=(batch,)).waiting.rows
    assert (row.text, row.source, row.waited_ms) == (shown, "salon", 10)


def test_group_of_workers_is_one_row_over_all_shards() -> None:
    groups = tuple(
        ConsumerGroup(f"out:{shard}", "bot", 3, 1, 720_000, again=2, again_pending=1, failed=1)
        for shard in range(2)
    )
    [worker] = show(groups=groups).workers
    assert (worker.group, worker.state, worker.left, worker.dead) == ("bot", "warn", 14, None)
    assert (worker.waiting, worker.in_hand, worker.failed, worker.again) == (6, 4, 2, 4)
    assert worker.words == "6 waiting, 4 in hand (2 failed), 4 again; nobody asked for 12 min 0 s"


@pytest.mark.parametrize(
    ("parts", "state", "words"),
    [
        ({}, "ok", "asked 2.0 s ago"),
        ({"lag": 3, "pending": 1}, "ok", "3 waiting, 1 in hand; asked 2.0 s ago"),
        ({"lag": None, "pending": 1}, "ok", "? waiting, 1 in hand; asked 2.0 s ago"),
        ({"idle_ms": None}, "ok", "nothing to read"),
        ({"idle_ms": None, "again": 1}, "warn", "1 again; it has no worker"),
        ({"idle_ms": 301_000, "again_pending": 1}, "warn", "1 in hand; nobody asked for 5 min 1 s"),
        ({"failed": 2, "pending": 1}, "ok", "1 in hand (1 failed); asked 2.0 s ago"),
        ({"pending": 10_000, "worker_keys": KEYS}, "warn", "10,000 in hand; full: takes no new one"),
        (
            {"pending": 10_000, "idle_ms": 301_000, "worker_keys": KEYS},
            "warn",
            "10,000 in hand; nobody asked for 5 min 1 s",
        ),
        ({"again": 1, "again_idle_ms": 900_000, "worker_keys": AGAIN}, "ok", "1 again; asked 2.0 s ago"),
        (
            {"again": 1, "worker_keys": AGAIN},
            "warn",
            "1 again; its program does not ask for what comes again",
        ),
        ({"pending": 10_000}, "ok", "10,000 in hand; asked 2.0 s ago"),
    ],
    ids=[
        "idle",
        "busy",
        "no lag",
        "no worker",
        "again",
        "crashed",
        "acknowledged by hand",
        "full",
        "full and crashed",
        "sent again",
        "sent again to another program",
        "many of another program",
    ],
)
def test_words_of_a_group_say_what_it_has_and_who_is_there(
    parts: dict[str, Any], state: str, words: str
) -> None:
    group = dataclasses.replace(ConsumerGroup("out", "bot", 0, 0, 2000), **parts)
    [worker] = show(groups=(group,)).workers
    assert (worker.state, worker.words) == (state, words)


def test_dead_letters_of_a_group_are_in_its_words() -> None:
    [worker] = show(
        groups=(ConsumerGroup("out", "bot", 0, 0, 2000),), dead_by={"group:bot": 2, "bot": 7}, dead=9
    ).workers
    assert (worker.dead, worker.words) == (2, "2 dead; asked 2.0 s ago")


@pytest.mark.parametrize(("source", "size"), [("salon", 3), ("other", ALIVE.max_size or None)])
def test_size_of_a_batch_is_that_of_its_source_or_of_the_daemons(source: str, size: int | None) -> None:
    batch = PendingBatch("7900", 2, NOW_MS, None, "7900", channel=source)
    pending = PendingSummary(NOW_MS, 1, 2, 0, None, None, {}, 0, [batch])
    snapshot = dataclasses.replace(look(daemons=[ALIVE]), pending=pending)
    [row] = build_overview(
        snapshot, [], Beside(sizes=BatchSizes([Rule("r", sources=frozenset({"salon"}), max_size=3)]))
    ).waiting.rows
    assert row.max_size == size


def test_size_is_not_known_where_daemons_do_not_agree() -> None:
    batch = PendingBatch("7900", 2, NOW_MS, None, "7900", channel="salon")
    daemons = [msgspec.structs.replace(ALIVE, id=str(size), max_size=size) for size in (10, 20)]
    pending = PendingSummary(NOW_MS, 1, 2, 0, None, None, {}, 0, [batch])
    [row] = build_overview(dataclasses.replace(look(daemons=daemons), pending=pending), []).waiting.rows
    assert row.max_size is None


@pytest.mark.parametrize(
    ("dead", "count"),
    [({"crm": 2}, 2), ({"bot": 2}, 0), ({}, 0), (None, 7)],
    ids=["own", "another's", "none", "many"],
)
def test_dead_letters_of_a_sink_are_those_that_wait(dead: dict[str, int] | None, count: int) -> None:
    snapshot = look(sinks=[crm(dead=9)], dead=7, dead_by=dead)
    [sink] = build_overview(snapshot, []).sinks
    assert sink.dead == count
