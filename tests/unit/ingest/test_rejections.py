"""Rejected requests: all are counted, and the log has each reason without being flooded."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

from structlog.testing import capture_logs

from rfctl.ingest.rejections import Reason, Rejections
from rfctl.store.counters import Counters


class FakeCounters:
    def __init__(self) -> None:
        self.marked: Counter[str] = Counter()

    def mark(self, name: str) -> None:
        self.marked[name] += 1


class Bench:
    """Rejections with counters and a clock of the test's own."""

    def __init__(self) -> None:
        self.counters, self.now = FakeCounters(), 0.0
        self.rejections = Rejections(cast(Counters, self.counters), lambda: self.now)

    def record(self, *problems: str, reason: Reason = "host", **fields: Any) -> list[Any]:
        with capture_logs() as lines:
            for problem in problems:
                self.rejections.record(reason, problem, **fields)
        return lines


def test_every_request_is_counted_by_reason_and_source() -> None:
    bench = Bench()
    bench.record(*["a"] * 50)
    bench.record("a", reason="signature", source="salon")
    assert bench.counters.marked == {"rejected:host": 50, "rejected:signature:salon": 1}


def test_same_problem_has_one_line_a_minute_which_says_how_many_had_none() -> None:
    bench = Bench()
    assert len(bench.record(*["a"] * 50)) == 1
    bench.now = 59
    assert bench.record("a") == []
    bench.now = 60
    [line] = bench.record("a")
    assert (line["suppressed"], line["problem"]) == (50, "a")


def test_problem_that_changes_is_logged_again() -> None:
    bench = Bench()
    lines = bench.record("a", "a", "b", "a")
    assert [line["problem"] for line in lines] == ["a", "b", "a"]


def test_stranger_who_changes_the_problem_each_time_does_not_flood_the_log() -> None:
    bench = Bench()
    assert len(bench.record(*(str(number) for number in range(1000)))) == 5
    assert len(bench.record("x", reason="no-path")) == 1


def test_sources_have_lines_of_their_own() -> None:
    bench = Bench()
    lines = bench.record("a", reason="signature", source="salon")
    lines += bench.record("a", reason="signature", source="shop")
    assert [(line["event"], line["source"]) for line in lines] == [
        ("signature_rejected", "salon"),
        ("signature_rejected", "shop"),
    ]


def test_what_an_operator_should_see_is_a_warning_with_a_next_step() -> None:
    bench = Bench()
    [line] = bench.record("too large", reason="body-too-large", source="evo", status=413)
    assert (line["log_level"], line["event"], line["status"]) == ("warning", "request_rejected", 413)
    assert "http.max_body_bytes" in line["next"]
    [line] = bench.record("gone", reason="no-path")
    assert line["log_level"] == "info"
    [line] = bench.record("Redis", reason="redis")
    assert (line["log_level"], line["event"]) == ("error", "request_deferred")
