"""The screens of stats: the findings in the order of the list, each with who set it."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from rfctl.cli import stats_view
from rfctl.cli.stats_json import as_json
from rfctl.cli.stats_view import draw, draw_in_brief, draw_to_fit
from rfctl.observe import Finding, Snapshot, findings
from rfctl.store import ConfiguredSink, ConsumerGroup, Pause, PendingBatch, PendingSummary, RetryCause
from tests.unit.observe.test_health import ALIVE, crm, look

PROBLEMS = [
    Finding("dead_letters", "warning", "", "the first fact", "the first fix", "flag --redis"),
    Finding("sink_failing", "error", "crm", "the second fact", "the second fix"),
]
"""No order of the list itself: `findings` alone decides about that."""


def render(drawing: object) -> str:
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(drawing)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("form", ["whole", "in brief", "to fit"])
@pytest.mark.parametrize("is_terminal", [True, False])
def test_findings_stand_in_the_order_of_the_list_with_who_set_them(
    monkeypatch: pytest.MonkeyPatch, form: str, is_terminal: bool
) -> None:
    monkeypatch.setattr(stats_view, "findings", lambda _: PROBLEMS)
    monkeypatch.setattr("sys.stdout.isatty", lambda: is_terminal, raising=False)
    drawings = {
        "whole": lambda: draw(look()),
        "in brief": lambda: draw_in_brief(look(), 80, 40),
        "to fit": lambda: draw_to_fit(look(), 80, 40),
    }
    text = render(drawings[form]())
    words = ["the first fact", "set by flag --redis", "the first fix", "the second fact", "the second fix"]
    assert [text.index(word) for word in words] == sorted(text.index(word) for word in words)
    assert text.count("set by flag") == 1
    assert "the first fact [dead_letters]" in text
    assert "the second fact [sink_failing]" in text


def night() -> Snapshot:
    """Return what an operator wakes up to: one sink is down, one paused, a batch waits, something is dead."""
    sinks = [
        crm(retry_cause=RetryCause("no connection to 10.0.0.7:443: Connection refused", 9_000, 4_000)),
        crm(sink=ConfiguredSink("accounting-and-invoices", "http", "a"), paused=Pause("it moves")),
        crm(sink=ConfiguredSink("bot", "http", "b")),
    ]
    batches = [PendingBatch("7900", 1, 20_000, None, "7900") for _ in range(9)]
    pending = PendingSummary(10_000, 9, 9, 0, None, None, {}, 0, groups=[], next_due=batches)
    return replace(look(daemons=[ALIVE], sinks=sinks, dead=2, quarantine=1), pending=pending)


def test_screen_of_four_findings_fits_the_smallest_terminal_and_shows_the_states() -> None:
    lines = render(draw_in_brief(night(), 80, 24)).splitlines()
    assert len(lines) < 24, "the shell's next line stands below"
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert all(
        word in text for word in ("NEEDS YOU  4", "rfctl resume crm", "rfctl dead list", "WAITING  9 batches")
    )
    assert "✖ fails: no connection to 10" in text
    assert "‖ paused: it moves" in text


def test_cure_follows_its_fact_only_where_room_is_short() -> None:
    assert " · rfctl quarantine list" in render(draw_in_brief(night(), 80, 16))
    assert " · rfctl quarantine list" not in render(draw_in_brief(night(), 80, 40))


def test_sink_loses_columns_only_for_its_state() -> None:
    narrow, wide = (render(draw_to_fit(night(), width, 30)) for width in (80, 140))
    assert "delivered" not in narrow
    assert "delivered" in wide
    assert "last min" in narrow


def test_pause_by_the_receiver_does_not_say_again_why_the_sink_fails() -> None:
    gone = crm(
        paused=Pause("answered 410", 9_000, "its receiver"),
        retry_cause=RetryCause("answered 410", 9_000, 9_000),
    )
    facts = [finding.fact for finding in findings(look(daemons=[ALIVE], sinks=[gone]))]
    assert " ".join(facts).count("answered 410") == 1
    assert facts[1] == "sink crm is paused: 1.0 s ago by its receiver"
    assert " ".join(facts).count("first failed 1.0 s ago") == 1
    assert "the last" not in facts[0]


@pytest.mark.parametrize("form", ["whole", "in brief", "to fit"])
def test_group_of_workers_has_a_row_with_what_it_has(form: str) -> None:
    groups = [ConsumerGroup("out", "bot", 3, 2, 2000, again=4, failed=1)]
    pending = PendingSummary(10_000, 0, 0, 0, None, None, {}, 5, groups=groups)
    snapshot = replace(look(daemons=[ALIVE], dead=1, dead_by={"group:bot": 1}), pending=pending)
    drawings = {
        "whole": lambda: draw(snapshot),
        "in brief": lambda: draw_in_brief(snapshot, 160, 40),
        "to fit": lambda: draw_to_fit(snapshot, 160, 40),
    }
    console = Console(file=io.StringIO(), width=160, color_system=None)
    console.print(drawings[form]())
    [row] = [line for line in console.file.getvalue().splitlines() if line.startswith("bot ")]  # type: ignore[attr-defined]
    assert row.split()[:7] == ["bot", "workers", "-", "-", "-", "-", "9"]
    assert row.rstrip().endswith("3 waiting, 2 in hand (1 failed), 4 again, 1 dead; asked 2.0 s ago")


def test_workers_are_in_the_json_as_they_are_on_the_screens() -> None:
    groups = [
        ConsumerGroup(f"{{{tag}}}out", "bot", 3, 2, 2000, again=4, again_pending=1, failed=1) for tag in "ab"
    ]
    pending = PendingSummary(10_000, 0, 0, 0, None, None, {}, 5, groups=groups)
    data = as_json(replace(look(dead_by={"group:bot": 1}), pending=pending))
    assert data["workers"] == [{
        "group": "bot", "state": "ok", "waiting": 6, "in_hand": 6, "failed": 2, "again": 8, "left": 20, "dead": 1,
        "asked_ago_ms": 2000, "words": "6 waiting, 6 in hand (2 failed), 8 again, 1 dead; asked 2.0 s ago",
    }]  # fmt: skip
    assert [group["again"] for group in data["output"]["groups"]] == [4, 4]
    assert {"lag", "pending", "again_pending"} < set(data["output"]["groups"][0])
