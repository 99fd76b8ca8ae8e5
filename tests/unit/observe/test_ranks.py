"""The order of findings: a failure before a warning, and a cause before what it causes."""

from __future__ import annotations

from typing import get_args

from rfctl.observe.finding import Code, Finding
from rfctl.observe.ranks import RANKED, TOPICS, sort_findings


def test_every_code_has_one_place_and_a_topic() -> None:
    assert set(RANKED) == set(get_args(Code))
    assert set(RANKED.values()) <= set(TOPICS)


def test_errors_come_before_warnings_and_causes_before_effects() -> None:
    dead = Finding("dead_letters", "warning", "", "", "")
    missing = Finding("processor_missing", "error", "", "", "")
    elsewhere = Finding("daemon_elsewhere", "error", "", "", "")
    refused = Finding("writes_refused", "error", "", "", "")
    sorted_codes = [finding.code for finding in sort_findings([dead, missing, refused, elsewhere])]
    assert sorted_codes == ["daemon_elsewhere", "writes_refused", "processor_missing", "dead_letters"]


def test_findings_of_one_code_keep_their_order() -> None:
    pair = [Finding("sink_paused", "warning", name, "", "") for name in ("b", "a")]
    assert sort_findings(pair) == pair
