from __future__ import annotations

import json

from rfctl.batching.policy import Timers
from rfctl.model.stored import Merged
from rfctl.simulation import check, plan_times, schedule

TIMERS = Timers(5000, 10, 60_000)
SENT = schedule(["p"], [0.0, 0.1], "r")


def merged(handed: int, *ids: str, at: tuple[int, ...] = (1000, 1100), reason: str = "quiet") -> Merged:
    raw = [
        json.dumps({"message": "x", "messageId": id_, "receivedAt": t}).encode()
        for id_, t in zip(ids, at, strict=False)
    ]
    return Merged(f"{handed}-0", "p", "", "x", len(ids), reason, at[0], at[-1], 0, "generic", True, raw)


def test_correct_result_passes_the_check() -> None:
    verdict = check(SENT, [merged(6105, "r-0-0", "r-0-1")], TIMERS, expected=1)
    assert verdict.failures == []
    assert verdict.worst_late_ms == 5


def test_every_failed_check_is_named() -> None:
    def says(*batches: Merged, expected: int | None = None) -> str:
        return "; ".join(check(SENT, list(batches), TIMERS, expected).failures)

    assert "were not handed over" in says(merged(6100, "r-0-0"))
    assert "more than once" in says(merged(6100, "r-0-0", "r-0-1"), merged(7000, "r-0-1", at=(2000,)))
    assert "out of order" in says(merged(6100, "r-0-1", "r-0-0"))
    assert "late" in says(merged(6500, "r-0-0", "r-0-1"))
    assert "early" in says(merged(5000, "r-0-0", "r-0-1"))
    assert "2 batches were expected" in says(merged(6100, "r-0-0", "r-0-1"), expected=2)
    assert "not by itself" in says(merged(2000, "r-0-0", "r-0-1", reason="flush"))


def test_the_scenarios_follow_the_settings() -> None:
    assert plan_times("rapid-fire", TIMERS, None, None) == [0.1 * i for i in range(8)]
    assert plan_times("long-pauses", TIMERS, None, None) == [0, 6, 12]
    assert plan_times("overflow", TIMERS, None, None) == [0] * 12
    assert plan_times("rapid-fire", TIMERS, 2, 3.0) == [0, 3]
