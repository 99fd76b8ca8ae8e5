"""A source whose requests are rejected is a finding: a few by strangers are none."""

from __future__ import annotations

from typing import get_args

import pytest

from rfctl.ingest.rejections import Reason
from rfctl.observe.requests import _FIXES, find_rejected_requests
from rfctl.store import DaemonRecord, RecentRequests


def record(accepted: int, **rejected: int) -> DaemonRecord:
    reasons = {reason.replace("_", "-"): count for reason, count in rejected.items()}
    recent = {"salon": RecentRequests(accepted, reasons)}
    return DaemonRecord(id="d", host="h", pid=7, version="0", role="all", recent_requests=recent)


@pytest.mark.parametrize(
    ("accepted", "rejected", "is_found"),
    [(0, 9, False), (0, 10, True), (90, 10, True), (91, 10, False), (10_000, 100, False), (100, 100, True)],
)
def test_number_and_share_decide(accepted: int, rejected: int, is_found: bool) -> None:
    assert bool(list(find_rejected_requests([record(accepted, signature=rejected)]))) is is_found


def test_requests_of_all_daemons_count_together() -> None:
    [finding] = find_rejected_requests([record(2, signature=6), record(1, signature=3, invalid_body=4)])
    assert (finding.code, finding.severity, finding.subject) == ("requests_rejected", "warning", "salon")
    assert finding.fact == (
        "source salon: 13 of 16 requests within 10 min were rejected (signature 9, invalid-body 4)"
    )
    assert finding.fix == "compare sources.salon.secrets with what the provider signs with"


def test_daemon_of_an_earlier_version_has_none() -> None:
    assert (
        list(find_rejected_requests([DaemonRecord(id="d", host="h", pid=7, version="0", role="all")])) == []
    )


def test_each_reason_that_has_a_fix_is_a_reason() -> None:
    assert set(_FIXES) <= set(get_args(Reason))
