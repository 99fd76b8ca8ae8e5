"""The verdict "ready", by what the loops of a daemon have seen, and what feeds the watchdog of systemd."""

from __future__ import annotations

from typing import Any

import pytest

from rfctl import errors
from rfctl.daemon.readiness import CANARY_MS, Readiness, name_reason
from rfctl.observe import Finding
from rfctl.store.reply_errors import CANNOT_NOW
from tests.unit.daemon.test_readiness import Clock, CountingNotifier

AWAY = errors.RedisUnreachableError("nothing answers", next="start it")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def notifier() -> CountingNotifier:
    return CountingNotifier()


@pytest.fixture
def readiness(notifier: CountingNotifier, clock: Clock) -> Readiness:
    return Readiness(notifier, clock=clock)


def finding(code: Any, subject: str = "") -> Finding:
    return Finding(code, "error", subject, f"it is {code}", "mend it")


def test_nothing_is_ready_before_the_canary_came_through(readiness: Readiness) -> None:
    readiness.record_turn()
    assert readiness.judge().reason == "starting"
    readiness.record_round()
    assert readiness.judge().is_ready


def test_canary_that_came_through_long_ago_counts_no_more(readiness: Readiness, clock: Clock) -> None:
    readiness.record_round()
    clock.now += CANARY_MS / 1000 + 1
    readiness.record_turn()
    assert readiness.judge().reason == "stalled"


def test_loop_that_takes_no_turn_is_not_ready(readiness: Readiness, clock: Clock) -> None:
    clock.now += 6
    readiness.record_round()
    assert readiness.judge().reason == "stalled"
    readiness.record_turn()
    assert readiness.judge().is_ready


@pytest.mark.parametrize("record", [Readiness.record_round, Readiness.record_failed_turn])
def test_failure_of_the_canary_or_of_a_turn_is_the_reason_at_once(readiness: Readiness, record: Any) -> None:
    readiness.record_round()
    readiness.record_turn()
    record(readiness, AWAY)
    verdict = readiness.judge()
    assert (verdict.reason, verdict.problem, verdict.next) == ("redis-away", "nothing answers", "start it")
    readiness.record_round()
    readiness.record_turn()
    assert readiness.judge().is_ready


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("processor_missing", "no-processor"), ("sink_unserved", "no-forwarder"), ("eviction_enabled", "evicting"),
        ("sink_failing", ""), ("dead_letters", ""),
    ],
)  # fmt: skip
def test_findings_by_which_no_message_gets_through_make_it_unready(
    readiness: Readiness, code: str, reason: str
) -> None:
    readiness.record_round()
    readiness.record_roles([finding(code)] if code in ("processor_missing", "sink_unserved") else [])
    readiness.record_findings([finding(code)])
    assert readiness.judge().reason == reason
    readiness.record_roles([])
    if reason.startswith("no-"):
        assert readiness.judge().is_ready, "who is missing is looked at with every round"


def test_every_failure_of_redis_has_a_word_of_its_own() -> None:
    words = {code: name_reason(errors.RedisCannotNowError("x", code=code)) for code in CANNOT_NOW}
    assert "redis-error" not in words.values(), words
    assert name_reason(errors.OlderDaemonError("x")) == "layout"
    assert name_reason(errors.OtherLayoutError("x")) == "layout"
    assert name_reason(errors.CanaryError("x")) == "canary"
    assert name_reason(errors.SettingsError(["redis.url: it has no such database"])) == "settings"
    assert name_reason(errors.RightsMissingError("x")) == "rights"
    assert name_reason(errors.CredentialsRefusedError("x")) == "credentials"
    assert name_reason(errors.KeyTakenError("x")) == "wrong-type"
    assert name_reason(errors.ReplyError("x", code="ERR")) == "redis-error"


def test_failed_turns_feed_the_watchdog_while_redis_is_away(
    readiness: Readiness, notifier: CountingNotifier, clock: Clock
) -> None:
    """A restart would mend nothing."""
    for _ in range(60):
        readiness.record_round(AWAY)
        readiness.record_failed_turn(AWAY)
        clock.now += 60
    assert notifier.feeds == 60


def test_turns_that_fail_although_the_canary_comes_through_do_not_feed_it(
    readiness: Readiness, notifier: CountingNotifier, clock: Clock
) -> None:
    for _ in range(60):
        readiness.record_round()
        readiness.record_failed_turn(AWAY)
        clock.now += 2
    assert notifier.feeds == 0
