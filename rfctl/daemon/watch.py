"""The loop that watches: the canary every few seconds, all findings once a minute, and what has changed into the log.

A finding is logged when it appears and when it is gone. The same list is what `rfctl stats` and /readyz show.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence

import structlog

from rfctl.daemon.components import Components
from rfctl.daemon.memory import exempt_from_collection
from rfctl.daemon.preflight import check_peers
from rfctl.daemon.readiness import Readiness, Verdict
from rfctl.daemon.systemd import Notifier
from rfctl.errors import RfctlError, SettingsConflictError
from rfctl.observe import Finding, findings
from rfctl.observe.daemons import find_missing_roles
from rfctl.store import DaemonRecord
from rfctl.store.probe import MissingRight
from rfctl.timing import sleep_or_stop, wait_for_any

_log = structlog.get_logger("daemon")
ROUND_S = 3.0
_LOOK_S = 60.0
_USABLE_S = 0.5
_SYSTEMD_WAITS_S = 10.0


class Watch:
    """Watches for one daemon; `read_record` returns what this daemon is now.

    systemd hears that the start is over when the daemon is ready, or after ten seconds: a start that waits for a Redis
    which is away would hang. The status line says which of the two it is.
    """

    def __init__(
        self,
        components: Components,
        readiness: Readiness,
        read_record: Callable[[], DaemonRecord],
        notifier: Notifier,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._components = components
        self._store = components.store
        self._readiness = readiness
        self._preflight = components.preflight
        self._canary = components.canary
        self._read_record = read_record
        self._notifier = notifier
        self._clock = clock
        self._started_at = clock()
        self._look_at = float("-inf")
        self._findings: dict[tuple[str, str], Finding] = {}
        self._verdict: Verdict | None = None
        self._is_start_over = False
        self._missing_rights: list[MissingRight] = []

    async def run(self, stopping: asyncio.Event) -> None:
        """Watch until `stopping` is set. Raises SettingsConflictError if an older daemon runs on other settings."""
        while not stopping.is_set():
            if self._preflight.passed:
                await self._take_round()
            elif self._preflight.problem is not None:
                self._readiness.record_round(self._preflight.problem)
            self._report()
            await self._sleep(stopping)

    async def _sleep(self, stopping: asyncio.Event) -> None:
        """Sleep until the next round, which comes sooner once Redis has refused something."""
        doubted, began = self._readiness.doubted, self._clock()
        if self._preflight.passed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ROUND_S):
                    await wait_for_any(stopping, doubted)
        await sleep_or_stop(stopping, max(0.0, _USABLE_S - (self._clock() - began)))
        doubted.clear()

    async def _take_round(self) -> None:
        try:
            self._note_rights(await self._canary.run_round())
            await self._notice_emptying()
            await self._look_at_daemons()
        except SettingsConflictError:
            raise
        except RfctlError as problem:
            self._readiness.record_round(problem)
            self._look_at = float("-inf")  # whatever ends it, Redis may be another afterwards
            return
        self._readiness.record_round()
        if self._clock() >= self._look_at:
            self._look_at = self._clock() + _LOOK_S
            with contextlib.suppress(RfctlError):
                await self.look()

    def _note_rights(self, missing: Sequence[MissingRight]) -> None:
        """Take a look at once when a right that is only useful is gone, or is back."""
        if list(missing) != self._missing_rights:
            self._look_at = float("-inf")
        self._missing_rights = list(missing)

    async def _notice_emptying(self) -> None:
        """Lay an emptied Redis out again, and count it: nobody would know otherwise that messages are lost."""
        if await self._store.notice_emptying():
            self._look_at = float("-inf")

    async def _look_at_daemons(self) -> None:
        own = self._read_record()
        alive = await self._store.daemons.list_alive()
        written = next((record for record in alive if record.id == own.id), None)
        if written is not None:
            check_peers(own, [record for record in alive if record.is_older_than(written)])
        others = [record for record in alive if record.id != own.id]
        sinks = [sink.name for sink in self._components.list_sinks() if sink.forwarded]
        self._readiness.record_roles(list(find_missing_roles([own, *others], sinks)))

    async def look(self) -> None:
        """Take a snapshot, and log which findings are new and which are gone. Raises RfctlError."""
        snapshot = await self._components.take_snapshot()
        restart = await self._store.notice_restart(snapshot.server)
        if restart is not None:
            _log.warning(
                "redis_restarted",
                run_id=restart.run_id,
                rewritten=restart.is_rewritten,
                problem=restart.problem,
            )
        self._record(findings(snapshot))

    def _record(self, current: Sequence[Finding]) -> None:
        before, self._findings = (
            self._findings,
            {(finding.code, finding.subject): finding for finding in current},
        )
        for key, finding in self._findings.items():
            if key not in before:
                _log_raised(finding)
        for key, finding in before.items():
            if key not in self._findings:
                _log.info("finding_cleared", code=finding.code, subject=finding.subject)
        self._readiness.record_findings(current)

    def _report(self) -> None:
        """Log a change of the verdict, and tell systemd."""
        verdict, before = self._readiness.judge(), self._verdict
        self._verdict = verdict
        if before is None or before.reason != verdict.reason:
            ready = f"ready, {_describe_work(self._read_record())}"
            self._notifier.notify_status(ready if verdict.is_ready else f"not ready: {verdict.problem}")
            _log_verdict(verdict)
        if not self._is_start_over and (
            verdict.is_ready or self._clock() - self._started_at > _SYSTEMD_WAITS_S
        ):
            self._is_start_over = True
            exempt_from_collection()
            self._notifier.notify_ready()


def _describe_work(record: DaemonRecord) -> str:
    return (
        f"listens on {record.describe_listener()}"
        if record.listener
        else f"a {record.role} without a listener"
    )


def _log_raised(finding: Finding) -> None:
    _log.warning(
        "finding_raised", code=finding.code, severity=finding.severity, subject=finding.subject,
        problem=finding.fact, next=finding.fix,
    )  # fmt: skip


def _log_verdict(verdict: Verdict) -> None:
    if verdict.is_ready:
        _log.info("readiness_gained")
    elif verdict.reason != "starting":
        _log.error("readiness_lost", reason=verdict.reason, problem=verdict.problem, next=verdict.next)
