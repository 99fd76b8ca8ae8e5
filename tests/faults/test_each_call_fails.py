"""Each call to Redis fails in turn: before Redis got it, after Redis did it, refused, and late.

A scene runs once to count its calls. Then it runs once for each call and mode, on an empty database each time. Sixteen
databases of the server are used side by side: nearly all of the time is waiting. TEST_FAULTS=all leaves out no call.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections import Counter
from collections.abc import Sequence

import pytest

from rfctl.store.address import RedisAddress
from rfctl.store.connection import Connection
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.support.failing import MODES, FailingConnection, FaultPlan, Mode
from tests.support.life import SinkKind, living
from tests.support.servers import RedisServer

DATABASES = 16
CASES = [(scenario, kind) for scenario in SCENARIOS for kind in scenario.kinds]


PLACES_OF_A_CALL = 2


def choose_positions(calls: Sequence[str]) -> list[int]:
    """Return each position, from 1, at which a call fails: its first places in the scene; with TEST_FAULTS=all, every one.

    A scene waits in loops, which make the same calls again and again.
    """
    if os.environ.get("TEST_FAULTS") == "all":
        return list(range(1, len(calls) + 1))
    counts: Counter[str] = Counter()
    positions = []
    for position, call in enumerate(calls, start=1):
        counts[call] += 1
        if counts[call] <= PLACES_OF_A_CALL:
            positions.append(position)
    return positions


class Stage:
    """The databases of one server, each for one life at a time."""

    def __init__(self, server: RedisServer) -> None:
        self._base = server.url.rpartition("/")[0]
        self._free: asyncio.Queue[int] = asyncio.Queue()
        for database in range(DATABASES):
            self._free.put_nowait(database)

    async def play(self, scenario: Scenario, kind: SinkKind, plan: FaultPlan) -> None:
        """Play a scene with its verdict. Raises AssertionError."""
        database = await self._free.get()
        try:
            address = RedisAddress(f"{self._base}/{database}", "the test")
            async with living(address, plan, kind) as life:
                try:
                    await scenario.act(life)
                    await life.check(scenario.dead, trimmed=scenario.trimmed)
                except AssertionError as problem:
                    raise AssertionError(f"{problem}; {await life.describe()}") from problem
        finally:
            self._free.put_nowait(database)

    async def judge(self, scenario: Scenario, kind: SinkKind, plan: FaultPlan) -> str:
        """Return what a fault led to, "" when all is well."""
        try:
            await self.play(scenario, kind, plan)
        except AssertionError as problem:
            return f"{plan.mode} {plan.position} ({plan.failed_call}): {problem}"
        return ""


@pytest.mark.parametrize(("scenario", "kind"), CASES, ids=[f"{case.name}-{kind}" for case, kind in CASES])
@pytest.mark.parametrize("mode", MODES)
async def test_failure_of_any_call_loses_doubles_and_stops_nothing(
    server: RedisServer, scenario: Scenario, kind: SinkKind, mode: Mode
) -> None:
    stage, clean = Stage(server), FaultPlan()
    await stage.play(scenario, kind, clean)
    assert clean.calls, "the scene called nothing that could fail"
    plans = [FaultPlan(position, mode) for position in choose_positions(clean.calls)]
    problems = await asyncio.gather(*(stage.judge(scenario, kind, plan) for plan in plans))
    assert not any(problems), "\n".join(filter(None, problems))
    assert sum(bool(plan.failed_call) for plan in plans) * 2 >= len(plans), "most calls were never made"


def test_calls_fail_at_their_first_places() -> None:
    assert choose_positions(["a", "b", "a", "a", "a", "c"]) == [1, 2, 3, 6]


def test_failing_connection_stands_before_every_call_of_a_connection() -> None:
    waiting = {
        name
        for name, member in vars(Connection).items()
        if not name.startswith("_") and inspect.iscoroutinefunction(member)
    }
    through_others = {"now_ms", "read_server_info", "read_write_refusals", "close"}
    assert waiting - through_others == {name for name in vars(FailingConnection) if name in waiting}
