"""The diagnosis: a line for each finding, one for each topic that is right, and no silence where nobody looked."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from rfctl.errors import RedisUnreachableError
from rfctl.observe.diagnosis import diagnose
from rfctl.observe.examination import LIMIT_S, Examination, Reading, examine
from rfctl.observe.facts import Neighbour, Shell
from rfctl.observe.ranks import TOPICS
from rfctl.store import StrayKeys
from tests.support.virtual_time import run_in_virtual_time
from tests.unit.observe.test_health import ALIVE, HERE, crm, look

SHELL = Shell(redis=HERE.where, set_by="variable RFCTL_REDIS__URL")
AWAY = RedisUnreachableError("nothing answers", set_by="flag --redis", next="start it")


def test_healthy_rfctl_has_a_line_for_each_topic_that_was_looked_at() -> None:
    diagnosis = diagnose(look(daemons=[ALIVE], sinks=[crm()]), Examination(shell=SHELL))
    assert diagnosis.state == "ok"
    assert {line.topic for line in diagnosis.lines} == set(TOPICS) - {"probe"}
    assert all(line.fact for line in diagnosis.lines)


@pytest.mark.parametrize(
    ("stray", "words"),
    [
        (StrayKeys(), "lists and index agree; the last sweep is still to come"),
        (
            StrayKeys(complete=False),
            "lists and index agree, as far as they were looked at: there are too many keys",
        ),
        (StrayKeys(unreadable=2), "2 lists of others may not be read"),
    ],
)
def test_lists_that_could_not_be_looked_at_are_not_called_right(stray: StrayKeys, words: str) -> None:
    lines = diagnose(look(daemons=[ALIVE]), Examination(shell=SHELL, stray=stray)).lines
    [line] = [line for line in lines if line.topic == "keys"]
    assert words in line.fact


def test_topic_with_a_finding_says_nothing_is_right_there() -> None:
    diagnosis = diagnose(look(sinks=[crm()], dead=1), Examination(shell=SHELL))
    assert [line.state for line in diagnosis.lines[:2]] == ["fail", "warn"]
    assert [line.code for line in diagnosis.lines if line.topic == "work"] == ["processor_missing"]
    assert (diagnosis.state, diagnosis.count("fail"), diagnosis.count("warn")) == ("fail", 1, 1)


def test_redis_that_is_not_reached_is_the_first_line_and_no_topic_of_it_is_called_right() -> None:
    diagnosis = diagnose(None, Examination(shell=SHELL, problem=AWAY))
    first = diagnosis.lines[0]
    assert (first.code, first.set_by, first.fix) == ("redis_unusable", "flag --redis", "start it")
    assert {line.topic for line in diagnosis.lines if line.state == "skip"} >= {"daemons", "work", "sinks"}


async def _hang() -> None:
    await asyncio.Event().wait()


async def _refuse() -> None:
    raise OSError(13, "Permission denied")


async def _read() -> tuple[Neighbour, ...]:
    return (Neighbour("file", "pid 7", "redis://other:1/0", "run", 0, ""),)


def test_reading_that_hangs_or_fails_is_a_finding_and_costs_no_other_fact() -> None:
    readings = [
        Reading("slow", "clocks", "the clocks", _hang),
        Reading("closed", "host", "this host", _refuse),
        Reading("neighbours", "address", "the daemons of this host", _read),
    ]
    examined, took_s = run_in_virtual_time(examine(Examination(shell=SHELL), readings))
    assert took_s == LIMIT_S
    assert [neighbour.name for neighbour in examined.neighbours] == ["pid 7"]
    lines = diagnose(look(daemons=[ALIVE]), examined).lines
    unfinished = {line.topic: line.fact for line in lines if line.code == "check_unfinished"}
    assert unfinished == {
        "clocks": "the clocks could not be read: no answer within 3.0 s",
        "host": "this host could not be read: Permission denied",
    }


def name_codes(snapshot: Any, *neighbours: Neighbour, **facts: Any) -> list[str]:
    return [
        line.code
        for line in diagnose(snapshot, Examination(None, SHELL, neighbours, **facts)).lines
        if line.code
    ]


OTHER = Neighbour("file", "pid 7", "redis://other:1/0", "another run", 0, "")
SAME = Neighbour("file", "pid 8", HERE.where, HERE.run_id, 0, "")


def test_daemon_elsewhere_is_the_cause_where_work_is_missing_here() -> None:
    assert name_codes(look(), OTHER)[:2] == ["daemon_elsewhere", "processor_missing"]


def test_daemon_elsewhere_is_no_fault_where_nothing_is_missing_here() -> None:
    listening = [msgspec.structs.replace(ALIVE, listener="http://h:1")]
    assert name_codes(look(daemons=listening), OTHER, SAME) == []


def test_daemon_elsewhere_is_named_where_our_redis_is_not_reached() -> None:
    diagnosis = diagnose(None, Examination(AWAY, SHELL, (OTHER,)))
    assert [line.code for line in diagnosis.lines if line.code] == ["daemon_elsewhere", "redis_unusable"]
    assert "redis://other:1/0" in diagnosis.lines[0].fact
    assert diagnosis.lines[0].set_by == SHELL.set_by


def test_daemon_on_the_same_address_is_not_called_elsewhere_where_redis_is_away() -> None:
    assert name_codes_of_away(SAME) == ["redis_unusable"]


def test_same_server_by_another_user_is_not_called_elsewhere_where_redis_refuses_us() -> None:
    other_user = replace(SAME, redis=HERE.where.replace("//", "//rfctl:••••@"))
    assert name_codes_of_away(other_user) == ["redis_unusable"]


def name_codes_of_away(*neighbours: Neighbour) -> list[str]:
    return [line.code for line in diagnose(None, Examination(AWAY, SHELL, neighbours)).lines if line.code]


@pytest.mark.parametrize(
    ("settings_hash", "prefix", "codes"), [("s", "", ["daemon_twin"]), ("t", "", []), ("s", "x", [])]
)
def test_daemon_elsewhere_with_the_settings_of_one_here_is_a_twin(
    settings_hash: str, prefix: str, codes: list[str]
) -> None:
    own = msgspec.structs.replace(ALIVE, listener="http://h:1", settings_hash="s")
    twin = Neighbour("database", "pid 9", "database 1", HERE.run_id, 1, prefix, settings_hash)
    examination = Examination(None, Shell(HERE.where, "x", settings_hash="s"), (), elsewhere=(twin,))
    lines = diagnose(look(daemons=[own]), examination).lines
    assert [line.code for line in lines if line.code] == codes
