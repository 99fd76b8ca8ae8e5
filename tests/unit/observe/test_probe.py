"""What a probe says: broken links, links that it passed, and answers that are no report."""

from __future__ import annotations

import msgspec
import pytest

from rfctl.observe.diagnosis import diagnose
from rfctl.observe.examination import Examination
from rfctl.observe.facts import ProbeAnswer, ProbedLink, ProbeReport, Shell
from rfctl.observe.facts.probe import build_answer
from rfctl.observe.snapshot import Snapshot
from tests.unit.observe.test_health import ALIVE, HERE, crm, look

SHELL = Shell(redis=HERE.where, set_by="x")
REPORT = ProbeReport(
    "d",
    7,
    "all",
    (ProbedLink("store", 2.0), ProbedLink("hand-over", 1.0), ProbedLink("acknowledgement", 0.5)),
)


def say(report: ProbeReport, snapshot: Snapshot | None = None, *more: ProbeAnswer) -> list[tuple[str, str]]:
    answers = (ProbeAnswer("h:1", 10.5, report), *more)
    lines = diagnose(snapshot, Examination(shell=SHELL, probe=answers)).lines
    return [(line.state, line.fact) for line in lines if line.topic == "probe"]


def test_time_of_the_door_is_what_the_other_links_leave() -> None:
    sinks = (ProbedLink("sink", 4.0, sink="crm"), ProbedLink("sink", 3.0, sink="erp"))
    lines = say(msgspec.structs.replace(REPORT, links=(*REPORT.links, *sinks)), look(daemons=[ALIVE]))
    assert lines[0] == ("ok", "door: the webhook took the message, 3 ms")
    assert lines[-1] == ("ok", "sink erp: the receiver took it, 3 ms")
    assert len(lines) == 6


def test_links_of_several_daemons_say_whose_they_are() -> None:
    webhook = ProbeReport("a", 1, "webhook", REPORT.links[:1])
    processor = ProbeReport("b", 2, "processor", REPORT.links[1:2])
    lines = say(webhook, look(daemons=[ALIVE]), ProbeAnswer("h:2", 1.0, processor))
    assert [fact.partition(":")[0] for state, fact in lines if state == "ok"] == [
        "door, pid 1", "store, pid 1", "hand-over, pid 2",
    ]  # fmt: skip


def test_work_of_nobody_is_a_failure_and_that_of_a_daemon_that_cannot_be_asked_is_not() -> None:
    webhook = ProbeReport("a", 1, "webhook", REPORT.links[:1])
    assert (
        say(webhook, look(sinks=[crm()]))[0][0],
        say(webhook, look(daemons=[ALIVE]))[-1][0],
    ) == ("fail", "skip")
    nobody = say(webhook, look(sinks=[crm()]))
    assert [fact.partition(":")[0] for state, fact in nobody if state == "fail"] == [
        "hand-over",
        "acknowledgement",
    ]
    assert [state for state, _ in say(webhook, None)] == ["ok", "ok", "skip", "skip", "skip"]


def test_link_without_a_cure_of_its_own_gets_one() -> None:
    broken = msgspec.structs.replace(REPORT, links=(ProbedLink("sink", problem="503", sink="crm"),))
    [line] = [
        line
        for line in diagnose(None, Examination(shell=SHELL, probe=(ProbeAnswer("h:1", 1, broken),))).lines
        if line.state == "fail"
    ]
    assert (line.code, line.subject, line.fix) == (
        "probe_failed",
        "sink crm",
        "mend its receiver or its settings",
    )


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b'HTTP/1.1 401 X\r\n\r\n{"error":"no token"}', "401: no token"),
        (b"HTTP/1.1 404 X\r\n\r\n", "an older rfctl"),
        (b'HTTP/1.1 503 X\r\n\r\n{"error":"it stops"}', "answers 503: it stops"),
        (b"HTTP/1.1 500 X\r\n\r\nplain", "answers 500: plain"),
        (b"HTTP/1.1 200 X\r\n\r\n<html>", "no daemon of this version"),
        (b"", "no daemon of this version"),
        (b"SSH-2.0", "no daemon of this version"),
    ],
)
def test_answer_that_is_no_report_says_why(answer: bytes, words: str) -> None:
    problem = build_answer("h:1", 1.0, answer)
    assert problem.report is None
    assert words in problem.problem
    assert problem.next


def test_report_is_read_as_a_daemon_writes_it() -> None:
    body = msgspec.json.encode(REPORT)
    assert build_answer("h:1", 1.0, b"HTTP/1.1 200 OK\r\nx: y\r\n\r\n" + body).report == REPORT
