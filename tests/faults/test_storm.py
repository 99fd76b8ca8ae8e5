"""A short kill storm, and the judge of all storms."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.extent import IS_WHOLE
from tests.faults.storm import print_report, run_storm
from tests.faults.verdict import Arrivals, Row, judge, take_once
from tests.support.servers import KINDS
from tests.support.traffic import SentMessage

SENT = {"7": [SentMessage("7", id_, "t") for id_ in ("a", "b", "c")]}
SECONDS, SEED = 30 if IS_WHOLE else 10, 8


@pytest.mark.timeout(300)
async def test_short_storm_loses_doubles_and_turns_round_nothing(tmp_path: Path) -> None:
    report = await run_storm(seconds=SECONDS, seed=SEED, kind=KINDS[0], evidence=tmp_path)
    lines: list[str] = []
    print_report(report, lines.append)
    assert not report.violations, "\n".join(lines)
    assert int(str(report.figures["messages accepted"])) > 0
    assert any("fault: " in name for name in report.figures), "nothing failed"


def rows(*batches: str) -> list[Row]:
    """Return a row of each batch: `ab` is one merged message of a and b."""
    return [Row(str(place), "7", tuple(batch)) for place, batch in enumerate(batches)]


@pytest.mark.parametrize(
    ("batches", "violation"),
    [
        (("ab", "c"), ""),
        (("ab",), "list: 1 lost: ['c']"),
        (("ab", "bc"), "list: 1 doubled: [('b', 2)]"),
        (("ac", "b"), "list: 1 phones out of order: ['b after c']"),
    ],
)
def test_judge_names_what_is_lost_doubled_or_out_of_order(batches: tuple[str, ...], violation: str) -> None:
    assert judge(SENT, Arrivals({"list": rows(*batches)})) == ([violation] if violation else [])


def test_dead_letter_is_present_for_http_alone() -> None:
    arrivals = Arrivals({"http": rows("a", "c"), "list": rows("a", "c")}, dead={"b"})
    assert judge(SENT, arrivals) == ["list: 1 lost: ['b']"]


def test_delivery_that_came_again_counts_once_and_is_the_same() -> None:
    body = {"from": "7", "metadata": {"originalMessages": [{"messageId": "a"}]}}
    assert take_once([("1", body), ("1", body)]) == ([Row("1", "7", ("a",))], [])
    _, problems = take_once([("1", body), ("1", {**body, "from": "8"})])
    assert problems == ["http: 1 came again with another content"]
