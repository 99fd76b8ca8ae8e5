"""Checks merged messages against the messages that were sent and the daemon's timers. Pure.

Only the clock of Redis counts: a message says when it arrived, and a stream id says when its batch was handed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rfctl.batching.policy import Timers
from rfctl.model.stored import Merged
from rfctl.simulation.scenario import PlannedMessage

TOLERANCE_MS = 250
"""How late a batch may be handed over and still be on time, ms."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a check: three counts, the worst lateness in ms, and a sentence for each failure."""

    sent: int
    received: int
    batches: int
    worst_late_ms: int
    failures: list[str]


def due_ms(merged: Merged, timers: Timers) -> int:
    """Return when this batch was due, Unix ms, from the times its messages arrived."""
    arrivals = [message.receivedAt for message in merged.messages]
    if len(arrivals) >= timers.max_size:
        return arrivals[-1]
    return min(arrivals[-1] + timers.quiet_ms, arrivals[0] + timers.max_wait_ms)


def check(
    messages: Sequence[PlannedMessage], merged: Sequence[Merged], timers: Timers, expected: int | None = None
) -> Verdict:
    """Check that each message was handed over once, in order and on time, in `expected` batches if that is not None."""
    ids = [message.messageId for batch in merged for message in batch.messages]
    lateness = {batch.id: batch.handed_ms - due_ms(batch, timers) for batch in merged}
    failures = [
        *_check_ids(messages, ids),
        *_check_order(messages, merged),
        *(failure for batch in merged for failure in _check_batch(batch, lateness[batch.id], timers)),
    ]
    if expected is not None and len(merged) != expected:
        failures.append(f"{expected} batches were expected, {len(merged)} were handed over")
    worst = max(0, *lateness.values(), 0)
    return Verdict(len(messages), len(set(ids)), len(merged), worst, failures)


def _check_ids(messages: Sequence[PlannedMessage], ids: Sequence[str]) -> Iterator[str]:
    if lost := {message.id for message in messages} - set(ids):
        yield f"{len(lost)} of {len(messages)} messages were not handed over"
    if repeats := len(ids) - len(set(ids)):
        yield f"{repeats} messages were handed over more than once"


def _check_order(messages: Sequence[PlannedMessage], merged: Sequence[Merged]) -> Iterator[str]:
    sent_ids: dict[str, list[str]] = {}
    received_ids: dict[str, list[str]] = {}
    for message in messages:
        sent_ids.setdefault(message.phone, []).append(message.id)
    for batch in sorted(merged, key=lambda batch: tuple(int(part) for part in batch.id.split("-"))):
        received_ids.setdefault(batch.phone, []).extend(message.messageId for message in batch.messages)
    for phone, ids in received_ids.items():
        if ids != [message_id for message_id in sent_ids.get(phone, []) if message_id in set(ids)]:
            yield f"{phone}: out of order"


def _check_batch(batch: Merged, late: int, timers: Timers) -> Iterator[str]:
    if batch.count > timers.max_size:
        yield f"{batch.id} has {batch.count} messages, more than {timers.max_size}"
    if late > TOLERANCE_MS:
        yield f"{batch.id} was handed over {late} ms late"
    if late < -1 and batch.reason not in ("flush", "shutdown"):
        yield f"{batch.id} was handed over {-late} ms early ({batch.reason})"
    if batch.reason in ("flush", "shutdown"):
        yield f"{batch.id} was handed over by a {batch.reason}, not by itself"
