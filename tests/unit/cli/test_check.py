"""`rfctl check` speaks Nagios: one line, four exit statuses, and figures behind a bar."""

from __future__ import annotations

import dataclasses

import pytest
from typer.testing import CliRunner

from rfctl.cli.app import app
from rfctl.cli.nagios import judge
from rfctl.observe.diagnosis import diagnose
from rfctl.observe.examination import Examination
from rfctl.observe.facts import Shell
from rfctl.observe.snapshot import Snapshot
from tests.unit.observe.test_diagnosis import AWAY
from tests.unit.observe.test_health import ALIVE, look

SHELL = Shell("redis://h", "the test")


def late_by(ms: int) -> Snapshot:
    snapshot = look(daemons=[ALIVE])
    return dataclasses.replace(
        snapshot, pending=dataclasses.replace(snapshot.pending, next_due_ms=10_000 - ms)
    )


@pytest.mark.parametrize(("late_ms", "status"), [(-500, 0), (2000, 0), (2001, 1), (10_000, 1), (10_001, 2)])
def test_late_batch_decides_the_status(late_ms: int, status: int) -> None:
    judgement = judge(diagnose(late_by(late_ms), Examination(shell=SHELL)), 2000, 10_000)
    assert judgement.status == status
    assert judgement.figures["late"] == f"{max(0, late_ms) / 1000:.3f}s;2;10;0"


def test_warning_is_1_and_failure_is_2() -> None:
    warned = diagnose(look(daemons=[ALIVE], dead=1), Examination(shell=SHELL))
    failed = diagnose(look(), Examination(shell=SHELL))
    away = diagnose(None, Examination(shell=SHELL, problem=AWAY))
    assert [judge(diagnosis, 1, 2).status for diagnosis in (warned, failed, away)] == [1, 2, 2]


def test_line_has_one_bar_and_no_line_feed_whatever_a_fact_says() -> None:
    problem = type(AWAY)("a|b\nc \x1b[31m", set_by="x")
    line = judge(diagnose(None, Examination(shell=SHELL, problem=problem)), 1, 2).line()
    assert line.startswith("RFCTL CRITICAL - address: a/b\\nc \\x1b[31m")
    assert "[redis_unusable]" in line
    assert line.count("|") == 1
    assert "\n" not in line


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("check --bogus", 3), ("--bogus check", 3), ("check -w", 3), ("check -w soon", 3), ("check extra", 3),
        ("check -w 20s -c 10s", 3), ("-o xml check", 3), ("stats --bogus", 2), ("config check --bogus", 2),
    ],
)  # fmt: skip
def test_wrong_command_line_is_unknown_for_nagios_alone(line: str, status: int) -> None:
    assert CliRunner().invoke(app, line.split()).exit_code == status
