"""A loop that is stuck: the watchdog is fed no more, and the log says once which loop it is."""

from __future__ import annotations

from structlog.testing import capture_logs

from rfctl.daemon.loops import Loops
from rfctl.daemon.readiness import Readiness
from tests.unit.daemon.test_readiness import Clock, CountingNotifier


def test_stuck_loop_keeps_the_watchdog_from_being_fed() -> None:
    clock, notifier, loops, ages = Clock(), CountingNotifier(), Loops(2000), {"forwarders": 0.0}
    loops.watch("forwarders", lambda: ages["forwarders"])
    loops.watch("intake", lambda: 0.0)
    readiness = Readiness(notifier, clock=clock, loops=loops)
    with capture_logs() as lines:
        for age in (0.0, 49.0, 51.0, 80.0, 0.0, 51.0):
            ages["forwarders"] = age
            clock.now += 2
            readiness.record_turn()
    assert notifier.feeds == 3
    assert [line["loops"] for line in lines] == [{"forwarders": 51}, {"forwarders": 51}]
    assert {line["event"] for line in lines} == {"loop_stuck"}


def test_time_that_redis_may_take_is_not_counted_as_stuck() -> None:
    loops = Loops(60_000)
    loops.watch("forwarders", lambda: 600.0)
    assert loops.all_turn()
