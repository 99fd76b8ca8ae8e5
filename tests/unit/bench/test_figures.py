"""What becomes of measurements: medians, tables, the page, and what counts as a wrong answer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.cpu import parse_cpu_ticks
from bench.duel import find_wrong_answers, rotate
from bench.errors import BenchError
from bench.filling import find_percentile
from bench.forward import count_disordered
from bench.goals import GOALS, compare
from bench.instruction_counts import Kept
from bench.load.prepared import build_post
from bench.load.wrk import Load, LoadError, parse_load
from bench.machine import describe_machine
from bench.peers.receiver import Tally
from bench.piped import EARLIEST, LATEST, pack, widen_bounds
from bench.report import build_page
from bench.results import Results, Row, format_number, format_table, take_medians

DONE = '{"requests":10,"duration_us":2000000,"p50_us":1,"p99_us":2,"max_us":3,"status":1,"failed":2}'
LOAD = Load(requests=100, seconds=1, p50_us=1, p99_us=2, max_us=3, wrong=0, cpu_s=0.5)


def test_medians_are_of_the_rows_with_the_same_texts() -> None:
    rows: list[Row] = [
        {"who": "a", "rate": 1},
        {"who": "b", "rate": 9},
        {"who": "a", "rate": 100},
        {"who": "a", "rate": 2},
    ]
    assert take_medians(rows) == [{"who": "a", "rate": 2}, {"who": "b", "rate": 9}]


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234.5, "1,234"), (12.34, "12.3"), (1.234, "1.23"), (3.0, "3"), (0.05, "0.05"), ("x", "x")],
)
def test_number_is_shown_with_the_digits_that_count(value: float | str, text: str) -> None:
    assert format_number(value) == text


def test_table_has_every_column_also_where_a_row_lacks_it() -> None:
    lines = format_table([{"who": "a", "rate": 1}, {"who": "bb", "late": 2}]).splitlines()
    assert lines == ["who  rate  late", "a       1", "bb            2"]


def test_results_are_written_as_json_and_problems_fail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = Results("duel", "A note.", [{"who": "a", "rate": 1}])
    assert results.report(tmp_path / "out", cycles=1) == 0
    results.problems.append("a message was lost")
    assert results.report(tmp_path / "out", cycles=1) == 1
    assert "WRONG: a message was lost" in capsys.readouterr().out
    content = json.loads((tmp_path / "out" / "duel.json").read_text())
    assert (content["medians"], content["problems"]) == ([{"who": "a", "rate": 1}], ["a message was lost"])


def test_output_of_wrk_becomes_figures() -> None:
    load = parse_load(f"Running 2s test\n  10 requests\n{DONE}\n", 0.25)
    assert load == Load(requests=10, seconds=2, p50_us=1, p99_us=2, max_us=3, wrong=3, cpu_s=0.25)
    assert load.acknowledged == 7


@pytest.mark.parametrize("output", ["", "unable to connect", '{"requests":1}', "[]"])
def test_other_output_of_wrk_is_an_error(output: str) -> None:
    with pytest.raises(LoadError, match="wrk failed"):
        parse_load(output, 0)


@pytest.mark.parametrize("stored", [100, 164, None])
def test_stored_messages_may_be_more_than_the_acknowledged_by_those_on_their_way(stored: int | None) -> None:
    assert find_wrong_answers(LOAD, stored, 64) == []


@pytest.mark.parametrize("stored", [99, 165, 0])
def test_lost_or_doubled_message_is_a_wrong_answer(stored: int) -> None:
    assert find_wrong_answers(LOAD, stored, 64) == [f"100 messages were acknowledged, and {stored} stored"]


def test_request_without_a_2xx_is_a_wrong_answer() -> None:
    assert find_wrong_answers(replace(LOAD, wrong=3), 97, 64) == ["3 of 100 requests got no 2xx"]
    assert find_wrong_answers(replace(LOAD, requests=0), 0, 64) == ["no request was answered"]


def test_contender_may_refuse_and_still_loses_nothing() -> None:
    load = replace(LOAD, wrong=40)
    assert find_wrong_answers(load, 60, 64, may_refuse=True) == []
    assert find_wrong_answers(load, 59, 64, may_refuse=True) == [
        "60 messages were acknowledged, and 59 stored"
    ]


def test_messages_of_a_request_are_counted() -> None:
    assert find_wrong_answers(LOAD, 1000, 64, each=10) == []
    assert find_wrong_answers(LOAD, 999, 64, each=10) == ["1000 messages were acknowledged, and 999 stored"]


def test_each_cycle_begins_with_another_contender() -> None:
    assert [list(rotate(["a", "b", "c"], cycle)) for cycle in range(4)] == [
        ["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"], ["a", "b", "c"],
    ]  # fmt: skip


def test_cpu_time_is_read_behind_a_name_with_parentheses() -> None:
    assert parse_cpu_ticks("7 (a) b) c) S 1 2 3 4 5 6 7 8 9 10 20 30 40 50") == 50


def test_percentile_is_one_of_the_values() -> None:
    assert [find_percentile(range(100), share) for share in (0.5, 0.99, 1)] == [50, 99, 99]
    assert find_percentile([], 0.5) == 0


def test_bounds_of_the_clock_are_widened_and_nothing_else() -> None:
    assert widen_bounds([b"EVALSHA", b"sha", b"7", b"8"]) == [b"EVALSHA", b"sha", EARLIEST, LATEST]
    with pytest.raises(BenchError, match="not the bounds"):
        widen_bounds([b"EVALSHA", b"sha", b"x", b"8"])


def test_command_is_packed_as_redis_reads_it() -> None:
    assert pack([b"GET", "ключ".encode()]) == b"*2\r\n$3\r\nGET\r\n$8\r\n\xd0\xba\xd0\xbb\xd1\x8e\xd1\x87\r\n"


def test_post_has_the_length_of_its_body_in_bytes() -> None:
    raw = build_post("/x", {"A": "b"}, "да".encode())
    assert raw == b"POST /x HTTP/1.1\r\nHost: localhost\r\nA: b\r\nContent-Length: 4\r\n\r\n\xd0\xb4\xd0\xb0"


PAYLOADS: list[dict[str, Any]] = [
    {"from": "1", "message": "0"}, {"from": "2", "message": "0"}, {"from": "1", "message": "1"}
]  # fmt: skip


def test_order_is_that_of_each_phone() -> None:
    assert count_disordered(PAYLOADS) == 0
    assert count_disordered([*PAYLOADS, {"from": "2", "message": "2"}]) == 1
    assert count_disordered([*PAYLOADS, PAYLOADS[-1]]) == 1


def test_receiver_says_what_came_once_all_has_come(capsys: pytest.CaptureFixture[str]) -> None:
    tally = Tally(3)
    for payload in reversed(PAYLOADS):
        tally.add(json.dumps(payload).encode())
    counts = json.loads(capsys.readouterr().out)
    assert (counts["count"], counts["disordered"]) == (3, 2)


def test_machine_is_described_without_names_and_paths() -> None:
    import platform

    text = " ".join(describe_machine().values())
    assert platform.node() not in text
    assert " /" not in text


def test_page_has_a_part_for_each_program_that_was_run() -> None:
    rows = [
        {"contender": "rfctl", "connections": "64", "messages/s": 300.0},
        {"contender": "Fastify + script", "connections": "64", "messages/s": 200.0},
        {"contender": "add piped, 1 a call", "connections": "1", "messages/s": 600.0},
    ]
    content = {
        "program": "duel", "note": "A note.", "at": "2030-01-01", "options": {"cycles": 5, "seconds": 3.0},
        "machine": {"Python": "3.11"}, "medians": rows, "rows": rows, "problems": ["one was lost"],
    }  # fmt: skip
    page = build_page({"duel": content}, {"add-single": Kept(200, 100)}, "## Profile\n")
    assert "A note. Measured on 2030-01-01 with cycles 5, seconds 3." in page
    assert "| 64 | 1.50 | 0.50 |" in page
    assert "- one was lost" in page
    assert "| 200 | 100 | 0.50 |" in page
    assert page.endswith("## Profile\n")
    assert "## Kinds" not in page


def test_goal_is_compared_with_what_was_measured() -> None:
    medians = [
        {"kind": "generic", "messages/s": 100},
        {"kind": "Telegram", "messages/s": 90},
        {"kind": "Twilio", "messages/s": 69},
    ]
    rows = {row["work"]: row for row in compare({"kinds": {"medians": medians}})}
    assert rows == {
        "Telegram ÷ generic": {"work": "Telegram ÷ generic", "goal": "≥ 0.90", "measured": 0.9, "reached": "yes"},
        "Twilio, signed ÷ generic": {
            "work": "Twilio, signed ÷ generic", "goal": "≥ 0.70", "measured": 0.69, "reached": "no"
        },
    }  # fmt: skip


def test_bound_at_most_is_not_passed() -> None:
    [goal] = [goal for goal in GOALS if goal.work == "idle daemon: % of a core"]
    assert goal.is_reached_by(0.5)
    assert not goal.is_reached_by(0.51)
