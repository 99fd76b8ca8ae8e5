"""Each call to Redis fails in turn: before Redis got it, after Redis did it, refused, and late.

A scene runs once to count its calls. Then it runs once for each call, on an empty database each time. Sixteen
databases of the server are used side by side: nearly all of the time is waiting.

Usually a call fails at its first places in the scene, at each of them in one mode. With TEST_FAULTS=all it fails at
every place in every mode; that takes many minutes.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import Sequence

import pytest

from rfctl.store.connection import Connection
from tests.faults.extent import IS_WHOLE, group_modes
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.support.failing import MODES, FailingConnection, FaultPlan, Mode
from tests.support.life import SinkKind, living
from tests.support.servers import RedisServer, patient_address

DATABASES = 16
CASES = [(scenario, kind) for scenario in SCENARIOS for kind in scenario.kinds]


PLACES_OF_A_CALL = 2


def choose_positions(calls: Sequence[str], *, is_whole: bool = IS_WHOLE) -> list[int]:
    """Return each position, from 1, at which a call fails: its first places in the scene, or every place.

    A scene waits in loops, which make the same calls again and again.
    """
    counts: Counter[str] = Counter()
    positions = []
    for position, call in enumerate(calls, start=1):
        counts[call] += 1
        if is_whole or counts[call] <= PLACES_OF_A_CALL:
            positions.append(position)
    return positions


def plan_faults(calls: Sequence[str], modes: Sequence[Mode]) -> list[FaultPlan]:
    """Return a plan for each position; with several modes they take turns."""
    positions = choose_positions(calls)
    return [FaultPlan(position, modes[place % len(modes)]) for place, position in enumerate(positions)]


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
            address = patient_address(f"{self._base}/{database}")
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
@pytest.mark.parametrize("modes", group_modes(MODES), ids="-".join)
@pytest.mark.timeout(900)
async def test_failure_of_any_call_loses_doubles_and_stops_nothing(
    server: RedisServer, scenario: Scenario, kind: SinkKind, modes: tuple[Mode, ...]
) -> None:
    stage, clean = Stage(server), FaultPlan()
    await stage.play(scenario, kind, clean)
    assert clean.calls, "the scene called nothing that could fail"
    plans = plan_faults(clean.calls, modes)
    problems = await asyncio.gather(*(stage.judge(scenario, kind, plan) for plan in plans))
    assert not any(problems), "\n".join(filter(None, problems))
    assert sum(bool(plan.failed_call) for plan in plans) * 2 >= len(plans), "most calls were never made"


def test_calls_fail_at_their_first_places() -> None:
    assert choose_positions(["a", "b", "a", "a", "a", "c"], is_whole=False) == [1, 2, 3, 6]
    assert choose_positions(["a", "b", "a", "a"], is_whole=True) == [1, 2, 3, 4]


def test_failing_connection_stands_before_every_call_of_a_connection() -> None:
    waiting = {
        name
        for name, member in vars(Connection).items()
        if not name.startswith("_") and inspect.iscoroutinefunction(member)
    }
    through_others = {"now_ms", "read_server_info", "read_write_refusals", "close"}
    assert waiting - through_others == {name for name in vars(FailingConnection) if name in waiting}
