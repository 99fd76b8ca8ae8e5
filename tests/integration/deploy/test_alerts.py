"""Each alert, by Prometheus's own tool: it fires when it should and for whom, once for several daemons, and clears."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.queries import ALERTS, list_alerts

STEP = "15s"
A, B = '{instance="a",job="rfctl"}', '{instance="b",job="rfctl"}'


def of(instance: str, **labels: str) -> str:
    """Return the labels of a series of one daemon."""
    pairs = {"instance": instance, "job": "rfctl"} | labels
    return "{" + ",".join(f'{name}="{value}"' for name, value in pairs.items()) + "}"


@dataclass(frozen=True)
class Case:
    """One story: series in steps of 15 s, when nothing fires yet, when it fires with which labels, and when no more."""

    alert: str
    series: dict[str, str]
    quiet: str
    fires: str
    labels: list[dict[str, str]]
    clear: str


def twice(name: str, values: str, **labels: str) -> dict[str, str]:
    """Return what both of two daemons say of Redis."""
    return {name + of("a", **labels): values, name + of("b", **labels): values}


CASES = [
    Case(
        "RfctlDown", {"up" + A: "1x3 0x7 1x9", "up" + B: "1x20"}, "1m30s", "2m", [{"instance": "a", "job": "rfctl"}], "3m"
    ),
    Case("RfctlDown", {"up" + A: "_x7 1x9"}, "45s", "1m", [{"job": "rfctl"}], "2m15s"),
    Case(
        "RfctlRedisAway", {"rfctl_redis_up" + A: "1x3 0x7 1x9", "rfctl_redis_up" + B: "1x20"}, "1m30s", "2m15s",
        [{"instance": "a", "job": "rfctl"}], "3m15s",
    ),
    Case(
        "RfctlNotReady", {"rfctl_daemon_ready" + A: "1x3 0x7 1x9", "rfctl_daemon_ready" + B: "0x3 1x20"}, "1m30s", "2m15s",
        [{"instance": "a", "job": "rfctl"}], "3m15s",
    ),
    Case(
        "RfctlErrorFinding",
        twice("rfctl_findings", "0x3 2x7 0x9", code="sink_failing", severity="error")
        | twice("rfctl_findings", "1x20", code="dead_letters", severity="warning"),
        "1m30s", "2m15s", [{"code": "sink_failing"}], "3m15s",
    ),
    Case(
        "RfctlWarningFinding",
        twice("rfctl_findings", "0x3 1x70 0x9", code="dead_letters", severity="warning")
        | twice("rfctl_findings", "1x90", code="sink_failing", severity="error"),
        "15m", "16m30s", [{"code": "dead_letters"}], "19m",
    ),
    Case(
        "RfctlErrorFinding",
        twice("rfctl_findings", "0x3 2x7 stale _x3 2x10 0x30", code="sink_failing", severity="error"),
        "1m30s", "4m15s", [{"code": "sink_failing"}], "8m",
    ),
    Case(
        "RfctlWarningFinding", twice("rfctl_findings", "0x3 1x30 stale _x3 1x40 0x30", code="dead_letters", severity="warning"),
        "15m", "16m15s", [{"code": "dead_letters"}], "24m",
    ),
    Case(
        "RfctlBatchesOverdue", twice("rfctl_pending_overdue_seconds", "0x3 9x7 stale _x3 9x10 0x30"), "1m15s", "4m", [{}], "8m"
    ),
    Case(
        "RfctlSinkBehind",
        twice("rfctl_sink_oldest_age_seconds", "0x3 400x7 stale _x3 460x10 0x30", sink="crm")
        | twice("rfctl_sink_paused", "0x11 stale _x3 0x50", sink="crm"),
        "1m30s", "4m15s", [{"sink": "crm"}], "8m",
    ),
    Case("RfctlBatchesOverdue", twice("rfctl_pending_overdue_seconds", "0 4x3 6+15x5 0x9"), "1m15s", "2m", [{}], "3m"),
    Case("RfctlHandoversLate", twice("rfctl_overdue_batches_total", "7x4 8x60"), "1m", "2m", [{}], "12m"),
    Case("RfctlBatchesMissing", twice("rfctl_missing_batches_total", "0x4 1x300"), "1m", "2m", [{}], "65m"),
    Case(
        "RfctlRedisSlow",
        {
            "rfctl_daemon_handover_call_seconds_bucket" + of(daemon, le=le): values
            for daemon in ("a", "b")
            for le, values in {
                "0.1": "0+15x8 120+5x40 320+15x90",
                "0.5": "0+15x8 120+15x40 720+15x90",
                "+Inf": "0+15x8 120+15x40 720+15x90",
            }.items()
        },
        "2m", "11m", [{}], "25m",
    ),
    Case(
        "RfctlSinkBehind",
        twice("rfctl_sink_oldest_age_seconds", "200x2 400x20 0x9", sink="crm")
        | twice("rfctl_sink_paused", "0x40", sink="crm")
        | twice("rfctl_sink_oldest_age_seconds", "900x40", sink="audit")
        | twice("rfctl_sink_paused", "1x40", sink="audit"),
        "1m30s", "3m", [{"sink": "crm"}], "6m30s",
    ),
    Case(
        "RfctlMessagesDead",
        twice("rfctl_sink_deliveries_total", "0x4 1x90", sink="crm", outcome="dead")
        | twice("rfctl_sink_deliveries_total", "0x4 9x90", sink="crm", outcome="failed")
        | twice("rfctl_sink_deliveries_total", "0x4 1x90", sink="bot", outcome="missing")
        | twice("rfctl_sink_deliveries_total", "5x90", sink="bot", outcome="dead"),
        "1m", "2m", [{"sink": "crm"}, {"sink": "bot"}], "17m",
    ),
    Case(
        "RfctlRequestsRejected",
        {
            "rfctl_daemon_requests_total" + of("a", source="salon", outcome="signature"): "0x4 0+2x10 20x90",
            "rfctl_daemon_requests_total" + of("b", source="salon", outcome="accepted"): "0x4 0+9x10 90x90",
            "rfctl_daemon_requests_total" + of("a", source="busy", outcome="signature"): "0x4 0+2x10 20x90",
            "rfctl_daemon_requests_total" + of("b", source="busy", outcome="accepted"): "0x4 0+900x10 9000x90",
            "rfctl_daemon_requests_total" + of("a", source="quiet", outcome="signature"): "0x4 4x90",
            "rfctl_daemon_requests_total" + of("a", source="", outcome="no-path"): "0+50x100",
        },
        "1m15s", "5m", [{"source": "salon"}], "16m",
    ),
    Case(
        "RfctlLogLost", {"rfctl_daemon_lost_log_lines_total" + A: "0x4 3x120", "rfctl_daemon_lost_log_lines_total" + B: "0x120"},
        "1m", "2m", [{}], "17m",
    ),
    Case("RfctlLogLost", twice("rfctl_daemons_lost_log_lines", "3x4 5x80 0x50"), "1m", "2m", [{}], "17m"),
]  # fmt: skip


def find_promtool() -> str:
    path = shutil.which("promtool")
    if path is None:
        pytest.skip("needs promtool (Debian's prometheus)")
    return path


def run_promtool(*words: str | Path) -> str:
    """Return what it says. Raises AssertionError if it finds fault."""
    done = subprocess.run(
        [find_promtool(), *map(str, words)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build_test(case: Case) -> dict[str, Any]:
    """Return one test as promtool reads it. Severities are left out: the file says them, and nothing follows from it."""
    firing = f'sum without (severity, alertstate) (ALERTS{{alertname="{case.alert}",alertstate="firing"}})'
    names = [
        "{"
        + ",".join(f'{name}="{value}"' for name, value in ({"alertname": case.alert} | labels).items())
        + "}"
        for labels in case.labels
    ]
    expected = {
        case.quiet: [],
        case.fires: [{"labels": name, "value": 1} for name in names],
        case.clear: [],
    }
    return {
        "name": case.alert,
        "interval": STEP,
        "input_series": [{"series": series, "values": values} for series, values in case.series.items()],
        "promql_expr_test": [
            {"expr": firing, "eval_time": time, "exp_samples": samples} for time, samples in expected.items()
        ],
    }


def test_file_is_one_that_prometheus_takes() -> None:
    assert f"{len(list_alerts())} rules found" in run_promtool("check", "rules", ALERTS)


def test_every_alert_has_a_test() -> None:
    assert {case.alert for case in CASES} == set(list_alerts())


def test_each_alert_fires_for_whom_it_should_and_clears(tmp_path: Path) -> None:
    file = tmp_path / "test.yml"
    story = {"rule_files": [str(ALERTS)], "evaluation_interval": STEP, "tests": list(map(build_test, CASES))}
    file.write_text(json.dumps(story))
    run_promtool("test", "rules", file)
