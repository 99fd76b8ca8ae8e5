"""Whether spans are written, and where to: the standard variables of OpenTelemetry say so.

rfctl has no setting of its own for it. Tracing is off unless the environment names an exporter or a collector. Nothing
of it stops a message: what cannot be used is logged, and the daemon runs without.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import structlog

from rfctl.errors import RfctlError, write_install_line

if TYPE_CHECKING:
    from rfctl.observe.tracing import Tracing

_log = structlog.get_logger("daemon")
_PROTOCOLS = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}
_STOP_S = 0.5
"""How long the end of the process waits for its last spans."""


def list_exporters(variables: Mapping[str, str]) -> list[str]:
    """Return the exporters that the environment asks for, by the names of their entry points; [] where tracing is off."""
    if _read(variables, "OTEL_SDK_DISABLED").lower() == "true":
        return []
    names = _read(variables, "OTEL_TRACES_EXPORTER")
    if not names and _read(variables, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"):
        names = "otlp"
    exporters = [name.strip() for name in names.split(",")]
    return [_spell_out(name, variables) for name in exporters if name not in ("", "none")]


def _spell_out(name: str, variables: Mapping[str, str]) -> str:
    if name != "otlp":
        return name
    protocol = _read(variables, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    return _PROTOCOLS.get(protocol or "http/protobuf", protocol)


def _read(variables: Mapping[str, str], *names: str) -> str:
    """Return the first of these variables that is set."""
    return next(filter(None, (variables.get(name, "").strip() for name in names)), "")


def start_tracing(variables: Mapping[str, str]) -> Tracing | None:
    """Return what writes spans, or None where tracing is off or cannot be used."""
    exporters = list_exporters(variables)
    if not exporters:
        return None
    try:
        from rfctl.observe.tracing import build_tracing  # noqa: PLC0415 - it needs an extra

        tracing = build_tracing(exporters)
    except ImportError as problem:
        step = f"{write_install_line('otel')}, or unset OTEL_TRACES_EXPORTER and OTEL_EXPORTER_OTLP_ENDPOINT"
        _log.warning("tracing_unavailable", problem=str(problem), next=step)
    except RfctlError as problem:
        _log.warning("tracing_unavailable", problem=problem.fact, next=problem.next)
    except Exception as problem:  # another package's class may raise anything
        step = "compare the variables OTEL_… with the exporter's manual"
        _log.warning("tracing_unavailable", problem=repr(problem), next=step)
    else:
        _log.info("tracing_started", exporters=exporters)
        return tracing
    return None


def stop_tracing(tracing: Tracing | None) -> None:
    """Send the last spans, but wait only a moment for a collector that does not answer."""
    if tracing is not None and not tracing.stop(_STOP_S):
        _log.warning("spans_abandoned", next="the collector does not answer: is it there?")
