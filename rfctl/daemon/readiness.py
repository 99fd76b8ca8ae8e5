"""The answer to "can this daemon do its work now?": for /readyz, the heartbeat and systemd.

It is ready when the canary has come through within the last seconds, and somebody processes and forwards. All that
happens in loops of the daemon: a question costs no call of Redis.

The watchdog of systemd is for a loop that is stuck. While Redis is away every turn fails, and a restart would mend
nothing: such turns feed it. A turn that fails although the canary comes through does not. No turn feeds it while
another loop is stuck: the forwarders, the intake or the heartbeat.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rfctl import errors
from rfctl.daemon.loops import Loops
from rfctl.daemon.systemd import Notifier
from rfctl.observe.finding import Finding
from rfctl.store import Store

_NOTIFY_EVERY_S = 1.0
_GRACE_MS = 2000
CANARY_MS = 10_000
"""The canary must have come through within this time."""

READY, STARTING, STALLED, UNKNOWN = "", "starting", "stalled", "redis-error"
_REASONS: tuple[tuple[type[errors.RfctlError], str], ...] = (
    (errors.RightsMissingError, "rights"),
    (errors.CredentialsRefusedError, "credentials"),
    (errors.KeyTakenError, "wrong-type"),
    (errors.ClusterNodeError, "cluster-node"),
    (errors.EvictingRedisError, "evicting"),
    (errors.OtherLayoutError, "layout"),
    (errors.OlderDaemonError, "layout"),
    (errors.SettingsConflictError, "settings-conflict"),
    (errors.SettingsError, "settings"),
    (errors.CanaryError, "canary"),
    (errors.RedisUnreachableError, "redis-away"),
)
_REASONS_BY_CODE = {
    "OOM": "full", "READONLY": "read-only", "MISCONF": "disk", "LOADING": "loading", "BUSY": "busy",
    "NOREPLICAS": "no-replicas", "MASTERDOWN": "read-only", "UNBLOCKED": "read-only", "CLUSTERDOWN": "cluster", "TRYAGAIN": "cluster",
}  # fmt: skip
_REASONS_BY_FINDING = {
    "processor_missing": "no-processor", "sink_unserved": "no-forwarder", "delivery_stalled": "stalled-sink", "sink_stalled": "stalled-sink",
    "eviction_enabled": "evicting",
}  # fmt: skip
"""Findings that make a daemon not ready. A receiver that fails is not among them: its messages wait in Redis."""
_ROLES = ("processor_missing", "sink_unserved")
"""Those that are looked at with every round of the canary."""


def name_reason(problem: errors.RfctlError) -> str:
    """Return the word for a failure of Redis, as strangers get it."""
    if isinstance(problem, errors.RedisCannotNowError) and problem.code:
        return _REASONS_BY_CODE.get(problem.code, UNKNOWN)
    return next((word for kind, word in _REASONS if isinstance(problem, kind)), UNKNOWN)


def list_reasons() -> set[str]:
    """Return every word by which a daemon says that it is not ready."""
    words = {word for _, word in _REASONS}
    return {STARTING, STALLED, UNKNOWN, *words, *_REASONS_BY_CODE.values(), *_REASONS_BY_FINDING.values()}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a daemon can do its work. `reason` is one word, "" if it can; `problem` says it in a line, `next` what to do."""

    reason: str = READY
    problem: str = ""
    next: str = ""
    findings: Sequence[Finding] = field(default_factory=tuple)

    @property
    def is_ready(self) -> bool:
        """Whether it can do its work."""
        return not self.reason

    def facts(self) -> dict[str, Any]:
        """Return it for who may know more than the word."""
        why = {"problem": self.problem, "next": self.next} if self.problem else {}
        return {**why, "findings": [asdict(finding) for finding in self.findings]}


class Readiness:
    """What the loops of a daemon have seen: turns of the scheduler, rounds of the canary, findings.

    Without a scheduler a loop of its own counts as its turns. `clock` counts seconds; `max_sleep_ms` is the longest
    sleep of the scheduler, and `loops` are the others.
    """

    def __init__(
        self,
        notifier: Notifier,
        max_sleep_ms: int = 1000,
        clock: Callable[[], float] = time.monotonic,
        loops: Loops | None = None,
    ) -> None:
        self.loops = loops or Loops()
        """The loops besides the scheduler's."""
        self._notifier = notifier
        self._max_turn_ms = 3 * max_sleep_ms + _GRACE_MS
        self._clock = clock
        self._turned_at = clock()
        self._notified_at = float("-inf")
        self._came_through_at = float("-inf")
        self.doubted = asyncio.Event()
        """Set when Redis has refused something: the canary is to go at once."""
        self._turn_problem: errors.RfctlError | None = None
        self._round_problem: errors.RfctlError | None = None
        self._findings: Sequence[Finding] = ()
        self._roles: Sequence[Finding] = ()
        self.redis_errors: Counter[str] = Counter()
        """How many calls to Redis have failed, of any part of the daemon, by the word for the reason."""

    def record_turn(self) -> None:
        """Record a turn that Redis served, and feed the watchdog at most once a second."""
        self._turned_at = self._clock()
        self._turn_problem = None
        self._feed_watchdog()

    def record_failed_turn(self, problem: errors.RfctlError) -> None:
        """Record a turn that Redis did not serve. It feeds the watchdog unless Redis serves the canary."""
        self._turn_problem = problem
        self.doubted.set()
        if self._round_problem is not None or not self._has_fresh_canary():
            self._feed_watchdog()

    def record_failed_intake(self) -> None:
        """Record that Redis has stored none of some messages."""
        self.doubted.set()

    def count_failure(self, problem: errors.RfctlError) -> None:
        """Count a call to Redis that failed, whoever made it."""
        self.redis_errors[name_reason(problem)] += 1

    def _feed_watchdog(self) -> None:
        now = self._clock()
        if now - self._notified_at >= _NOTIFY_EVERY_S:
            self._notified_at = now
            if self.loops.all_turn():
                self._notifier.feed_watchdog()

    def record_round(self, problem: errors.RfctlError | None = None) -> None:
        """Record that the canary has come through, or why not."""
        self._round_problem = problem
        if problem is None:
            self._came_through_at = self._clock()

    def record_findings(self, findings: Sequence[Finding]) -> None:
        """Record what an operator should look at now."""
        self._findings = findings

    def record_roles(self, missing: Sequence[Finding]) -> None:
        """Record which work no living daemon does; it is looked at more often than the other findings."""
        self._roles = missing

    def measure_turn_age_ms(self) -> int:
        """Return the time since the last turn that Redis served, ms."""
        return int((self._clock() - self._turned_at) * 1000)

    def _has_fresh_canary(self) -> bool:
        return (self._clock() - self._came_through_at) * 1000 <= CANARY_MS

    def judge(self) -> Verdict:
        """Return whether this daemon can do its work, by what its loops saw last."""
        return self._judge_redis() or self._judge_findings()

    def answer(self, store: Store, run_id: str) -> tuple[str, dict[str, Any]]:
        """Return the word why this daemon is not ready ("" if it is), and what this machine may know besides."""
        verdict, address = self.judge(), store.address
        about = {"redis": address.shown(), "db": store.db, "run_id": run_id, "set_by": address.set_by}
        return verdict.reason, {**about, "lastTurnMs": self.measure_turn_age_ms(), **verdict.facts()}

    def _judge_redis(self) -> Verdict | None:
        problem = self._round_problem or self._turn_problem
        if problem is not None:
            return Verdict(name_reason(problem), problem.fact, problem.next, self._findings)
        if self._came_through_at == float("-inf"):
            return Verdict(STARTING, "the canary has not come through yet", "", self._findings)
        if not self._has_fresh_canary():
            return Verdict(STALLED, "the canary has not come through for a while", "", self._findings)
        if self.measure_turn_age_ms() > self._max_turn_ms:
            return Verdict(STALLED, "the loop of this daemon takes no turn", "", self._findings)
        return None

    def _judge_findings(self) -> Verdict:
        others = [finding for finding in self._findings if finding.code not in _ROLES]
        for finding in (*self._roles, *others):
            if reason := _REASONS_BY_FINDING.get(finding.code):
                return Verdict(reason, finding.fact, finding.fix, self._findings)
        return Verdict(findings=self._findings)
