"""Spans of OpenTelemetry: `receive`, `hand over` and `deliver`. This module alone imports it, and is imported where it is on.

The spans of a message hang together: `receive` goes on with the trace of its request, and what it stores with the message
is its own `traceparent`. `hand over` is a child of the last message's, and links to those of all. Its id follows from the
delivery id, so that each `deliver` is its child, whichever daemon makes the attempt.

No attribute has a phone or a text: errors of receivers are left out, since they may repeat what was sent.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from importlib.metadata import entry_points

from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from rfctl import __version__
from rfctl.errors import RfctlError
from rfctl.model.delivery import Delivery
from rfctl.model.installation import build_package_command
from rfctl.model.traceparent import TracedBatch

_EXPORTERS = "opentelemetry_traces_exporter"
_DELIVERY_ID = re.compile(r"msg_([0-9a-f]{16})[0-9a-f]{8}")
_NS_A_MS = 1_000_000
_Attributes = Mapping[str, str | int]

_next_span_id: ContextVar[int] = ContextVar("next_span_id", default=0)


class ExporterMissingError(RfctlError):
    """No installed package brings the exporter that the environment names."""


class _Ids(RandomIdGenerator):
    """Random ids, but for a span whose id is known before it begins."""

    def generate_span_id(self) -> int:
        return _next_span_id.get() or super().generate_span_id()


class OpenSpan:
    """A span that has begun. `traceparent` names it; it is that of its request where nothing is traced."""

    def __init__(self, span: Span, traceparent: str) -> None:
        self._span = span
        self.traceparent = _format_context(span.get_span_context()) or traceparent

    def end(self, name: str, value: str | int, *, is_failure: bool) -> None:
        """End it with its outcome as an attribute."""
        self._span.set_attribute(name, value)
        if is_failure:
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


class Tracing:
    """Writes the spans of one daemon."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("rfctl", __version__)

    def begin_receive(self, source: str, traceparent: str) -> OpenSpan:
        """Begin the span of a request, as a part of the trace that it names, or of a new one for ""."""
        attributes = {"rfctl.source": source, "http.request.method": "POST"}
        span = self._tracer.start_span("receive", _parent(traceparent), SpanKind.SERVER, attributes)
        return OpenSpan(span, traceparent)

    def record_hand_over(self, batch: TracedBatch) -> None:
        """Write the span of a batch that was handed over: from its first message to now, by the clock of Redis."""
        links = [Link(_read_context(traceparent)) for traceparent in filter(None, batch.traceparents)]
        attributes: _Attributes = {
            "rfctl.message_id": batch.delivery_id,
            "rfctl.reason": batch.reason,
            "messaging.batch.message_count": batch.count,
        }
        token = _next_span_id.set(_read_span_id(batch.delivery_id))
        try:
            span = self._tracer.start_span(
                "hand over", _parent(batch.traceparent), SpanKind.PRODUCER, attributes, links,
                start_time=batch.first_ms * _NS_A_MS,
            )  # fmt: skip
        finally:
            _next_span_id.reset(token)
        span.end(batch.handed_ms * _NS_A_MS)

    def begin_delivery(self, sink: str, delivery: Delivery) -> OpenSpan:
        """Begin the span of an attempt: a child of the span of its hand-over, which may be another daemon's."""
        attributes: _Attributes = {
            "rfctl.sink": sink,
            "rfctl.message_id": delivery.id,
            "rfctl.attempt": delivery.attempt,
        }
        parent = _find_hand_over(delivery.traceparent, delivery.id)
        span = self._tracer.start_span("deliver", _parent(parent), SpanKind.CLIENT, attributes)
        return OpenSpan(span, delivery.traceparent)

    def stop(self, within_s: float) -> bool:
        """Send what is left, and say whether that took no longer than this. A collector that hangs holds up no stop."""
        ending = threading.Thread(target=self._provider.shutdown, name="tracing", daemon=True)
        ending.start()
        ending.join(within_s)
        return not ending.is_alive()


def build_tracing(exporters: Iterable[str]) -> Tracing:
    """Return what sends spans to these exporters. All else is read from the environment by the SDK itself.

    Raises ExporterMissingError.
    """
    provider = build_provider()
    for exporter in [_build_exporter(name) for name in exporters]:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    return Tracing(provider)


def build_provider() -> TracerProvider:
    """Return a provider without an exporter. Its service is rfctl, unless the environment names it."""
    resource = Resource.create()
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: "rfctl"}))
    return TracerProvider(resource=resource, id_generator=_Ids(), shutdown_on_exit=False)


def _build_exporter(name: str) -> SpanExporter:
    for entry in entry_points(group=_EXPORTERS, name=name):
        exporter: SpanExporter = entry.load()()
        return exporter
    raise ExporterMissingError(
        f"no installed package brings the exporter {name}",
        next=build_package_command(f"opentelemetry-exporter-{name.replace('_', '-')}"),
    )


def _format_context(context: SpanContext) -> str:
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


def _read_context(traceparent: str) -> SpanContext:
    _, trace_id, span_id, flags = traceparent.split("-")
    return SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16))
    )


def _parent(traceparent: str) -> Context:
    """Return the context of a child of this span; of a new trace for ""."""
    if not traceparent:
        return Context()
    return set_span_in_context(NonRecordingSpan(_read_context(traceparent)), Context())


def _read_span_id(delivery_id: str) -> int:
    """Return the id of the span of a hand-over; 0 (any) for a delivery id of layout 1."""
    match = _DELIVERY_ID.fullmatch(delivery_id)
    return int(match[1], 16) if match else 0


def _find_hand_over(traceparent: str, delivery_id: str) -> str:
    """Return the traceparent of the hand-over of a message whose trace is this one."""
    span_id = _read_span_id(delivery_id)
    if not (traceparent and span_id):
        return traceparent
    _, trace_id, _, flags = traceparent.split("-")
    return f"00-{trace_id}-{span_id:016x}-{flags}"
