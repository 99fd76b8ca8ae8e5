"""Words and JSON for what is still to come of a person: when a batch is due, where a message stands, and who is held."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from rfctl.model.stored import Batch
from rfctl.store import UndeliveredMessage
from rfctl.store.holds import Hold
from rfctl.text import duration
from rfctl.timing import format_rfc3339


def dues(in_ms: int) -> str:
    """Return when something is due, for a person; what is in the past is overdue."""
    return f"in {duration(in_ms)}" if in_ms >= 0 else f"{duration(-in_ms)} overdue"


def explain_due(batch: Batch) -> str:
    """Return why a batch is due when it is, for a person."""
    if batch.due_ms is None:
        return "it is in no index: the next message puts it there"
    if batch.held_until_ms is not None:
        return "a person has taken over, and it is held until then (rfctl release)"
    last = batch.messages[-1]
    if not last.receivedAt:
        return "another program wrote it, and it was taken in"
    if last.receivedAt + last.waitMs <= batch.due_ms:
        return f"{duration(last.waitMs)} of silence after the last message"
    return (
        f"the first message will have waited {duration(max(0, batch.due_ms - batch.messages[0].receivedAt))}"
    )


def undelivered_as_json(messages: Sequence[UndeliveredMessage], now_ms: int) -> list[dict[str, Any]]:
    """Return the messages of each sink, state and batch key together, as its first message stands there."""
    parts: dict[tuple[str, str, str], list[UndeliveredMessage]] = {}
    for message in messages:
        parts.setdefault((message.sink, message.state, message.batch_key), []).append(message)
    return [_as_json(part, now_ms) for part in parts.values()]


def _as_json(messages: Sequence[UndeliveredMessage], now_ms: int) -> dict[str, Any]:
    first = messages[0]
    return {
        "sink": first.sink,
        "state": first.state,
        "batch_key": first.batch_key,
        "messages": len(messages),
        "id": first.id,
        "ids": [message.id for message in messages],
        "attempts": first.attempts,
        "last_error": None if first.last is None else first.last.error,
        "last_error_at": None if first.last is None else format_rfc3339(first.last.at_ms),
        "next_retry": format_rfc3339(first.next_retry_ms),
        "next_retry_in_ms": None if first.next_retry_ms is None else max(0, first.next_retry_ms - now_ms),
        "paused": first.paused is not None,
        "paused_why": None if first.paused is None else first.paused.why,
    }


def describe_state(message: UndeliveredMessage, now_ms: int) -> str:
    """Return where a message stands, for a person."""
    if message.paused is not None:
        return f"the sink is paused: {message.paused.why}"
    if message.state == "unread":
        return "unread"
    if message.state == "unacknowledged" or message.next_retry_ms is None:
        return "on its way"
    in_ms = message.next_retry_ms - now_ms
    return f"next retry in {duration(in_ms)}" if in_ms > 0 else "next retry now"


def hold_as_json(hold: Hold) -> dict[str, Any]:
    """Return a hold as JSON, with times in RFC 3339."""
    return {
        "phone": hold.phone or hold.batch_key,
        "batch_key": hold.batch_key,
        "until": format_rfc3339(hold.until_ms),
        "since": format_rfc3339(hold.since_ms or None),
        "by": hold.by,
        "note": hold.note,
        "size": hold.size,
    }


def describe_hold(hold: Hold, now_ms: int) -> str:
    """Return in words until when a person is held, by whom and why."""
    why = f": {hold.note}" if hold.note else ""
    return f"for another {duration(max(0, hold.until_ms - now_ms))}, by {hold.by or 'another version'}{why}"


def describe_release(hold: Hold) -> str:
    """Return the command that ends a hold."""
    return f"rfctl release {shlex.quote(hold.phone or hold.batch_key)}"
