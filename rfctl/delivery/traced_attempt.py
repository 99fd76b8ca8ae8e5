"""An attempt to deliver with a span around it, where tracing is on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rfctl.delivery.attempt import (
    DeadLettered,
    Delivered,
    Failed,
    Missing,
    Outcome,
    PauseRequested,
    Send,
    attempt_delivery,
)
from rfctl.delivery.target import RetryPolicy
from rfctl.model.delivery import Delivery
from rfctl.store import StreamEntry

if TYPE_CHECKING:
    from rfctl.observe.tracing import OpenSpan, Tracing

_WORDS = {
    Delivered: "delivered",
    Failed: "failed",
    DeadLettered: "dead",
    PauseRequested: "paused",
    Missing: "missing",
}


async def attempt_traced(
    tracing: Tracing, sink: str, send: Send, entry: StreamEntry, policy: RetryPolicy, instance_id: str
) -> Outcome:
    """Do as `attempt_delivery`. The receiver gets the attempt's own `traceparent`."""
    span: OpenSpan | None = None

    async def send_in_span(delivery: Delivery) -> str | None:
        nonlocal span
        span = tracing.begin_delivery(sink, delivery)
        return await send(replace(delivery, traceparent=span.traceparent))

    word = "broken_off"  # Redis failed, or the daemon stops: the message comes again
    try:
        outcome = await attempt_delivery(send_in_span, entry, policy, instance_id)
        word = _WORDS[type(outcome)]
        return outcome
    finally:
        if span is not None:
            span.end("rfctl.outcome", word, is_failure=word != "delivered")
