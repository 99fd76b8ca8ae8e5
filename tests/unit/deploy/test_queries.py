"""The alerts and the dashboard ask for what there is, and put several processes together as each metric wants it."""

from __future__ import annotations

import json
import re
from itertools import combinations
from operator import itemgetter
from typing import Any

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
        "rfctl_sink_waiting_phones", "rfctl_daemon_invalid_traces_total", "rfctl_trimmed_parts_total",
        "rfctl_dropped_messages_total",
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


@pytest.mark.parametrize("panel", list(list_panels()), ids=itemgetter("title"))
def test_panel_has_the_unit_of_what_it_shows(panel: dict[str, Any]) -> None:
    """Units are those of Grafana: a wrong one is shown as a suffix, and no error."""
    unit = panel.get("fieldConfig", {}).get("defaults", {}).get("unit", "")
    assert (unit == "") == (panel["type"] in ("row", "table"))
    for target in panel.get("targets", []):
        for use in list_uses(target["expr"]):
            name = use.metric.removesuffix("_bucket")
            suffix = "bytes" if name.endswith("_bytes") else "s" if name.endswith("_seconds") else "short"
            assert unit in ("", suffix) or use.metric == "rfctl_build_info"
        if "histogram_quantile" not in target["expr"]:
            assert (unit in ("short", "")) == (
                "seconds" not in target["expr"] and "bytes" not in target["expr"]
            )


def test_every_query_has_a_name_for_each_line_that_it_draws() -> None:
    for panel in list_panels():
        for target in panel.get("targets", []):
            groups = re.search(r"\bby \(([\w, ]+)\)", target["expr"])
            names = set(groups[1].split(", ")) - {"le"} if groups else set()
            legend = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            assert panel["type"] != "timeseries" or legend in (names, {"instance"}), panel["title"]
            assert (panel["type"] == "timeseries") == target.get("range", False)


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


@pytest.mark.parametrize("page", ["METRICS.md", "TRACING.md", "../man/rfctl.7"])
def test_page_names_no_metric_that_there_is_not(page: str) -> None:
    text = (ALERTS.parents[1] / "docs" / page).read_text()
    names = {name for name in re.findall(r"\brfctl_[a-z_]+[a-z]\b", text) if name != "rfctl_daemon"}
    assert names
    assert {name.removesuffix("_bucket") for name in names} <= set(FAMILIES)


def test_page_says_of_every_alert_what_to_do() -> None:
    page = (ALERTS.parents[1] / "docs" / "METRICS.md").read_text()
    table = page.partition("| alert | what to do |")[2]
    listed = [name for row in table.splitlines() for name in re.findall(r"`(Rfctl\w+)`", row)]
    assert sorted(listed) == sorted(list_alerts())
