"""The alerts and the dashboard ask for what there is, and put several processes together as each metric wants it."""

from __future__ import annotations

import json
import re
from itertools import combinations

import pytest

from rfctl.observe.metrics import FAMILIES, Family
from tests.support.queries import (
    ALERTS,
    DASHBOARD,
    Use,
    list_alerts,
    list_panel_queries,
    list_panels,
    list_uses,
)

OF_PROMETHEUS = {"instance", "job", "le"}
QUERIES = [*list_alerts().items(), *list_panel_queries()]


def family_of(use: Use) -> Family:
    name = use.metric.removesuffix("_bucket")
    assert name in FAMILIES, f"there is no {use.metric}"
    return FAMILIES[name]


@pytest.mark.parametrize(("where", "query"), QUERIES)
def test_query_is_right_when_there_are_several_processes(where: str, query: str) -> None:
    for use in list_uses(query):
        family = family_of(use)
        assert use.labels <= set(family.labels), query
        assert use.groups <= {*family.labels, *OF_PROMETHEUS}, query
        assert "job" not in use.labels
        if family.whose == "all":
            assert use.aggregation == "max", f"every daemon says the same: {query}"
        if family.kind == "counter":
            assert {"rate", "increase"} & set(use.functions), query
        if family.kind in ("counter", "histogram") and family.whose == "daemon":
            assert use.aggregation == "sum", query
        if family.kind == "histogram":
            assert use.functions == ("histogram_quantile", "sum", "rate"), query
            assert "le" in use.groups


def test_dashboard_shows_every_metric_but_few() -> None:
    shown = {
        use.metric.removesuffix("_bucket") for _, query in list_panel_queries() for use in list_uses(query)
    }
    assert set(FAMILIES) - shown == {
        "rfctl_daemon_handed_over_batches_total", "rfctl_daemon_handed_over_messages_total", "rfctl_worker_groups",
        "rfctl_daemon_overdue_batches_total", "rfctl_daemon_clamped_batches_total", "rfctl_daemon_set_aside_batches_total",
        "rfctl_messages_total", "rfctl_discarded_messages_total", "rfctl_unparsed_parts_total",
        "rfctl_daemon_lost_log_lines_total", "rfctl_pending_overdue_batches", "rfctl_sink_unacknowledged_messages",
        "rfctl_sink_waiting_phones",
    }  # fmt: skip


def test_dashboard_is_one_that_grafana_takes() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    assert dashboard["schemaVersion"] >= 36
    assert {"uid", "title", "panels", "templating", "time"} <= set(dashboard)
    assert "id" not in dashboard, "Grafana gives it a number of its own"
    [variable] = dashboard["templating"]["list"]
    assert (variable["name"], variable["type"], variable["query"]) == (
        "datasource",
        "datasource",
        "prometheus",
    )
    ids = [panel["id"] for panel in list_panels()]
    assert len(ids) == len(set(ids))
    titles = [panel["title"] for panel in list_panels()]
    assert len(titles) == len(set(titles))


def test_every_panel_is_whole_and_overlaps_no_other() -> None:
    squares: dict[tuple[int, int], str] = {}
    for panel in list_panels():
        place = panel["gridPos"]
        assert panel["type"] in ("row", "stat", "timeseries", "table")
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert squares.setdefault((x, y), panel["title"]) == panel["title"]
        if panel["type"] != "row":
            assert panel["description"]
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert panel["fieldConfig"]["defaults"] is not None
            letters = [target["refId"] for target in panel["targets"]]
            assert letters == list("ABCDEFGH"[: len(letters)])
            assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])


def test_every_alert_says_how_grave_it_is_and_what_to_do() -> None:
    page = ALERTS.read_text()
    names = list(list_alerts())
    assert len(names) == len(set(names)) == page.count("summary:") == page.count("description:")
    assert page.count("severity: critical") + page.count("severity: warning") == len(names)
    assert all(name.startswith("Rfctl") for name in names)
    assert not any(first in second for first, second in combinations(sorted(names), 2))


@pytest.mark.parametrize(
    ("query", "uses"),
    [
        ("rfctl_a == 0", [("rfctl_a", (), set(), set())]),
        ('max by (x, y) (rfctl_a{x="by (z)",v!~"b"}) > 0', [("rfctl_a", ("max",), {"x", "v"}, {"x", "y"})]),
        (
            "60 * sum by (x) (rate(rfctl_a[5m])) / max(rfctl_b)",
            [("rfctl_a", ("sum", "rate"), set(), {"x"}), ("rfctl_b", ("max",), set(), set())],
        ),
        ("sum(max by (role) (rfctl_a))", [("rfctl_a", ("sum", "max"), set(), {"role"})]),
        ("process_x and on (job) rfctl_a", [("rfctl_a", (), set(), set())]),
    ],
)
def test_query_is_taken_apart(
    query: str, uses: list[tuple[str, tuple[str, ...], set[str], set[str]]]
) -> None:
    expected = [
        Use(name, functions, frozenset(labels), frozenset(groups)) for name, functions, labels, groups in uses
    ]
    assert list_uses(query) == expected


def test_page_says_of_every_alert_what_to_do() -> None:
    page = (ALERTS.parents[1] / "docs" / "METRICS.md").read_text()
    table = page.partition("| alert | what to do |")[2]
    listed = [name for row in table.splitlines() for name in re.findall(r"`(Rfctl\w+)`", row)]
    assert sorted(listed) == sorted(list_alerts())
