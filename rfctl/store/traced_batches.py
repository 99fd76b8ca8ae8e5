"""What the scripts say of batches that were handed over and have a trace (`traced_batches` of lua/shared/batch.lua)."""

from __future__ import annotations

from rfctl.model.traceparent import TracedBatch, read_traceparents
from rfctl.store import replies


def read_traced_batches(reply: object) -> list[TracedBatch]:
    """Return the batches of an answer."""
    return [_read_batch(replies.array(batch)) for batch in replies.array(reply)]


def _read_batch(reply: list[object]) -> TracedBatch:
    entry_id, delivery_id, traces, reason, count, first_ms = reply
    return TracedBatch(
        delivery_id=replies.text(delivery_id),
        traceparents=read_traceparents(replies.data(traces)),
        reason=replies.text(reason),
        count=replies.integer(count),
        first_ms=replies.integer(first_ms),
        handed_ms=int(replies.text(entry_id).partition("-")[0]),
    )
