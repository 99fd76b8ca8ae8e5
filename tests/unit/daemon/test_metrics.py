"""When a scrape reads Redis, and what it says while Redis is away."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from rfctl.batching import TurnCounts
from rfctl.daemon import metrics
from rfctl.daemon.components import Components
from rfctl.daemon.metrics import MetricsPage
from rfctl.daemon.readiness import Readiness
from rfctl.daemon.systemd import Notifier
from rfctl.errors import RedisUnreachableError
from rfctl.ingest.bodies import BodyBudget
from rfctl.ingest.tally import MessageTally, Tally
from rfctl.store import BatchMeasures
from tests.support.waiting import until


class FakeComponents:
    """Components that read no Redis; `gate` is how long a reading takes, and `failure` what it raises."""

    def __init__(self) -> None:
        self.readings, self.failure = 0, cast(Exception | None, None)
        self.gate, self.usable = asyncio.Event(), asyncio.Event()
        self.gate.set()
        self.usable.set()
        self.preflight = self.scheduler = self.settings = self.daemon = self.receiver = self.rejections = self
        self.store = self.batches = self
        self.measures, self.supervisor, self.budget = BatchMeasures(), self, BodyBudget(1)
        self.invalid_traces = 0
        self.attempts: dict[str, Any] = {}
        self.role, self.counts, self.messages, self.tally = "all", TurnCounts(), MessageTally(), Tally()
        self.sources: dict[str, Any] = {}
        self.rules: dict[str, Any] = {}

    def measure_bytes(self) -> dict[str, int]:
        return {}

    async def take_snapshot(self) -> Any:
        self.readings += 1
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return "a snapshot"


class Rig:
    def __init__(self) -> None:
        self.components, self.now = FakeComponents(), 100.0
        readiness = Readiness(Notifier({}))
        self.page = MetricsPage(cast(Components, self.components), readiness, lambda: self.now)

    async def is_up(self, within_s: float = 30) -> bool:
        body, _ = await self.page.render("", within_s)
        lines = [line for line in body.decode().splitlines() if line.startswith("rfctl_redis_up")]
        assert lines in (["rfctl_redis_up 1.0"], ["rfctl_redis_up 0.0"])
        return lines == ["rfctl_redis_up 1.0"]


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    monkeypatch.setattr(metrics, "findings", lambda snapshot: [])
    monkeypatch.setattr(metrics, "read_redis", lambda snapshot, listed, rules: iter(()))
    return Rig()


async def test_scrapes_within_a_second_share_one_reading(rig: Rig) -> None:
    assert all(await asyncio.gather(*(rig.is_up() for _ in range(5))))
    rig.now += 0.9
    assert await rig.is_up()
    assert rig.components.readings == 1
    rig.now += 0.2
    assert await rig.is_up()
    assert rig.components.readings == 2


async def test_redis_that_is_away_is_said_and_no_error(rig: Rig) -> None:
    rig.components.failure = RedisUnreachableError("away")
    assert not await rig.is_up()
    assert not await rig.is_up()
    assert rig.components.readings == 1, "a failure counts for a second too"
    rig.components.failure = None
    rig.now += 1
    assert await rig.is_up()


async def test_redis_that_hangs_holds_up_no_scrape_and_is_asked_once(rig: Rig) -> None:
    rig.components.gate.clear()
    assert not await rig.is_up(within_s=0.01)
    assert not await rig.is_up(within_s=0.01)
    rig.components.gate.set()
    await until(rig.is_up)
    assert rig.components.readings == 1


async def test_redis_that_may_not_be_used_is_not_read(rig: Rig) -> None:
    rig.components.usable.clear()
    assert not await rig.is_up()
    assert rig.components.readings == 0


async def test_bug_is_raised_and_does_not_last(rig: Rig) -> None:
    rig.components.failure = ValueError("a bug")
    with pytest.raises(ValueError, match="a bug"):
        await rig.is_up()
    rig.components.failure = None
    rig.now += 1
    assert await rig.is_up()


async def test_close_leaves_no_reading_behind(rig: Rig) -> None:
    rig.components.gate.clear()
    await rig.is_up(within_s=0.01)
    await rig.page.close()
    await rig.page.close()
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
