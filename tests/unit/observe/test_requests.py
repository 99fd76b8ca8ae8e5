"""A source whose requests are rejected is a finding: a few by strangers are none."""

from __future__ import annotations

from typing import get_args

import pytest
from msgspec import structs

from rfctl.ingest.rejections import Reason
from rfctl.observe.examination import Examination
from rfctl.observe.facts import OpenSource
from rfctl.observe.requests import (
    _FIXES,
    _OF_TYPES,
    find_open_sources,
    find_rejected_requests,
    find_unknown_paths,
)
from rfctl.sources.registry import SPECS
from rfctl.store import DaemonRecord, RecentRequests, UnknownPath


def build_record(requests: RecentRequests, *paths: UnknownPath) -> DaemonRecord:
    return DaemonRecord(
        id="d", host="h", pid=7, version="0", role="all", recent_requests={"salon": requests}, unknown_paths=paths
    )  # fmt: skip


def record(accepted: int, **rejected: int) -> DaemonRecord:
    reasons = {reason.replace("_", "-"): count for reason, count in rejected.items()}
    return build_record(RecentRequests(accepted, reasons))


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
    assert {reason for _, reason in _OF_TYPES} <= set(get_args(Reason))
    assert {kind for kind, _ in _OF_TYPES} <= set(SPECS)


def refuse_all(count: int, ago_s: int | None, kind: str = "generic") -> DaemonRecord:
    since = {"signature": count}
    return build_record(RecentRequests(0, {}, type=kind, accepted_ago_s=ago_s, rejected_since=since))


@pytest.mark.parametrize(
    ("ago_s", "since"),
    [(21_600, "since the last good one 6 h 0 min ago"), (None, "since the daemon started")],
)
def test_all_rejected_since_the_last_good_one_is_found_however_few_a_minute(
    ago_s: int | None, since: str
) -> None:
    [finding] = find_rejected_requests([refuse_all(10, ago_s)])
    assert finding.fact == f"source salon: all 10 requests {since} were rejected (signature 10)"
    assert list(find_rejected_requests([refuse_all(9, ago_s)])) == []


def test_good_request_at_another_daemon_ends_it() -> None:
    good = build_record(RecentRequests(1, {}, accepted_ago_s=0))
    assert list(find_rejected_requests([refuse_all(50, 3600), good])) == []


def test_twilio_is_told_about_its_address() -> None:
    [finding] = find_rejected_requests([refuse_all(10, None, "twilio")])
    assert "public_url" in finding.fix
    assert "sources.salon.secrets" in finding.fix


@pytest.mark.parametrize(("count", "is_found"), [(2, False), (3, True)])
def test_unknown_address_is_found_with_the_nearest_source(count: int, is_found: bool) -> None:
    daemons = [build_record(RecentRequests(0, {}), UnknownPath("/webhook/salom", count, "salon"))]
    findings = list(find_unknown_paths(daemons))
    assert bool(findings) is is_found
    for finding in findings:
        assert (
            finding.fact
            == "3 requests to /webhook/salom, and no source is there, the nearest source is salon"
        )
        assert "/webhook/salon" in finding.fix


def test_source_that_is_open_to_others_is_found_with_who_allowed_it() -> None:
    source = OpenSource("salon", "0.0.0.0:3000", "/etc/rfctl/config.toml:7")
    [finding] = find_open_sources(None, Examination(open_sources=(source,)))
    assert (finding.code, finding.subject, finding.set_by) == ("source_open", "salon", source.set_by)
    assert "0.0.0.0:3000" in finding.fact


def test_finding_names_what_was_wrong_with_the_last_proof() -> None:
    requests = RecentRequests(
        0,
        {},
        type="whatsapp-cloud",
        rejected_since={"signature": 12},
        proof_fault="it does not have the header X",
    )
    [finding] = find_rejected_requests([build_record(requests)])
    assert finding.fact.endswith(
        "were rejected (signature 12); of the last one: it does not have the header X"
    )
    assert finding.fix == "sources.salon.secrets must be the app secret of Meta's app"
    [finding] = find_rejected_requests([build_record(structs.replace(requests, has_own_proof=False))])
    assert finding.fix == "compare sources.salon.secrets with what the provider signs with"
    other = structs.replace(requests, rejected_since={"signature": 12, "body-too-large": 13})
    [finding] = find_rejected_requests([build_record(other)])
    assert "of the last one" not in finding.fact
