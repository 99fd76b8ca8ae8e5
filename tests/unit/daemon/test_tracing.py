"""When spans are written: the variables of OpenTelemetry say so, and what cannot be used is logged and stops nothing."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from structlog.testing import capture_logs

from rfctl.daemon.tracing import list_exporters, start_tracing, stop_tracing
from rfctl.errors import write_install_line
from rfctl.model.traceparent import TracedBatch
from rfctl.observe import tracing as spans
from rfctl.observe.tracing import _find_hand_over, build_provider
from tests.support.waiting import PATIENCE_S

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


@pytest.mark.parametrize(
    ("variables", "exporters"),
    [
        ({}, []),
        ({"OTEL_SERVICE_NAME": "bot"}, []),
        ({"OTEL_TRACES_EXPORTER": "none"}, []),
        ({"OTEL_TRACES_EXPORTER": "none", **ENDPOINT}, []),
        ({"OTEL_TRACES_EXPORTER": " "}, []),
        (ENDPOINT, ["otlp_proto_http"]),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "x"}, ["otlp_proto_http"]),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, ["otlp_proto_grpc"]),
        (
            {**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"},
            ["otlp_proto_http"],
        ),
        ({"OTEL_TRACES_EXPORTER": "console, otlp"}, ["console", "otlp_proto_http"]),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "True"}, []),
    ],
)  # fmt: skip
def test_environment_says_which_exporters_there_are(
    variables: Mapping[str, str], exporters: list[str]
) -> None:
    assert list_exporters(variables) == exporters


def start(variables: Mapping[str, str]) -> tuple[Any, list[Any]]:
    with capture_logs() as lines:
        return start_tracing(variables), lines


def test_nothing_is_imported_or_logged_where_it_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rfctl.observe.tracing", None)
    assert start({}) == (None, [])


def test_missing_extra_is_named_and_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rfctl.observe.tracing", None)
    tracing, [line] = start(ENDPOINT)
    assert tracing is None
    assert (line["event"], line["log_level"]) == ("tracing_unavailable", "warning")
    assert write_install_line("otel") in line["next"]


def test_missing_exporter_is_named_and_stops_nothing() -> None:
    tracing, [line] = start({"OTEL_TRACES_EXPORTER": "nowhere"})
    assert tracing is None
    assert line["problem"] == "no installed package brings the exporter nowhere"
    assert line["next"] == "pip install opentelemetry-exporter-nowhere"


def test_exporter_that_crashes_is_named_and_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(_name: str) -> SpanExporter:
        raise ZeroDivisionError

    monkeypatch.setattr(spans, "_build_exporter", crash)
    tracing, [line] = start({"OTEL_TRACES_EXPORTER": "console"})
    assert tracing is None
    assert line["problem"] == "ZeroDivisionError()"


def test_stop_exports_what_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = InMemorySpanExporter()
    monkeypatch.setattr(spans, "_build_exporter", lambda _name: exporter)
    tracing, [line] = start({"OTEL_TRACES_EXPORTER": "console"})
    assert (line["event"], line["exporters"]) == ("tracing_started", ["console"])
    tracing.record_hand_over(TracedBatch("msg_" + "c" * 24, ("", TRACE), "quiet", 2, 1000, 3000))
    with capture_logs() as lines:
        stop_tracing(tracing)
    assert lines == []
    [span] = exporter.get_finished_spans()
    assert span.context is not None
    assert f"{span.context.span_id:x}" == "c" * 16
    assert (span.start_time, span.end_time) == (1_000_000_000, 3_000_000_000)
    assert span.resource.attributes["service.name"] == "rfctl"


def test_collector_that_hangs_holds_up_no_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    tracing, _ = start({"OTEL_TRACES_EXPORTER": "console"})
    gate = threading.Event()
    monkeypatch.setattr("rfctl.daemon.tracing._STOP_S", 0.01)
    shutdown = tracing._provider.shutdown
    monkeypatch.setattr(tracing._provider, "shutdown", lambda: gate.wait(PATIENCE_S) and shutdown())
    with capture_logs() as lines:
        stop_tracing(tracing)
    [line] = lines
    assert line["event"] == "spans_abandoned"
    gate.set()
    [ending] = [thread for thread in threading.enumerate() if thread.name == "tracing"]
    ending.join(PATIENCE_S)


def test_stop_without_tracing_is_nothing() -> None:
    stop_tracing(None)


def test_environment_names_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    assert build_provider().resource.attributes["service.name"] == "rfctl"
    monkeypatch.setenv("OTEL_SERVICE_NAME", "batches")
    assert build_provider().resource.attributes["service.name"] == "batches"


@pytest.mark.parametrize(
    ("delivery_id", "parent"),
    [
        ("msg_" + "0123456789abcdef" + "0" * 8, TRACE[:36] + "0123456789abcdef-01"),
        ("1758000000000-0", TRACE), ("msg_", TRACE), ("msg_" + "g" * 24, TRACE), ("msg_" + "0" * 24, TRACE), ("", TRACE),
    ],
)  # fmt: skip
def test_attempt_is_a_child_of_its_hand_over_whoever_wrote_the_entry(delivery_id: str, parent: str) -> None:
    assert _find_hand_over(TRACE, delivery_id) == parent
    assert _find_hand_over("", delivery_id) == ""
