"""Findings about pending batches, by the facts alone."""

from __future__ import annotations

import pytest

from rfctl.observe import findings
from rfctl.observe.snapshot import Snapshot
from rfctl.store import DaemonRecord, PendingSummary, SweepReport
from rfctl.store.server_info import ServerInfo

HERE = ServerInfo("redis://h", 0, "r", "Valkey", "9.1.0", "noeviction", True, "the test")
DAY_MS = 86_400_000
NOW_MS = 10 * DAY_MS


def codes(sweep: SweepReport) -> list[tuple[str, str]]:
    daemon = DaemonRecord(id="a", host="h", pid=7, version="1", role="all")
    pending = PendingSummary(NOW_MS, 0, 0, 0, None, None, {}, 0, groups=[])
    snapshot = Snapshot(
        server=HERE, write_refusals=[], daemons=[daemon], pending=pending, sinks=[], orphaned=[], dead=0, quarantine=0,
        sweep=sweep,
    )  # fmt: skip
    return [(finding.code, finding.severity) for finding in findings(snapshot)]


@pytest.mark.parametrize(("ago_ms", "is_shown"), [(0, True), (DAY_MS - 1, True), (DAY_MS, False)])
def test_batches_that_vanished_are_a_finding_for_a_day(ago_ms: int, is_shown: bool) -> None:
    report = SweepReport(missing=2, missing_at_ms=NOW_MS - ago_ms)
    assert codes(report) == ([("batches_missing", "error")] if is_shown else [])


def test_lists_of_another_writer_are_a_finding_while_they_are_there() -> None:
    assert codes(SweepReport(unclaimed=3)) == [("lists_unclaimed", "warning")]
    assert codes(SweepReport(put_back=3, taken_out=3)) == []
