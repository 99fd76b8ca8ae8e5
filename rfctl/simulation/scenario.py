"""Scripted conversations, sent through the real parts and held against what the settings promise.

`schedule` and `check` are pure. A verdict goes by the clock of Redis alone: when each message arrived is in the
message, when a batch left is in its stream id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rfctl.batching.policy import Timers
from rfctl.model.stored import Merged

Scenario = Literal["rapid-fire", "long-pauses", "overflow"]
TOLERANCE_MS = 250
"""How late a batch may leave and still be on time: what promise 5 allows a daemon that is alive."""


@dataclass(frozen=True, slots=True)
class PlannedMessage:
    """One message to send: at which time from the start (s), by whom, and what."""

    at_s: float
    phone: str
    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a run; `failures` is empty when all is as promised. Lateness in ms."""

    sent: int
    received: int
    batches: int
    worst_late_ms: int
    failures: list[str]


def offsets(scenario: Scenario, timers: Timers, count: int | None, interval_s: float | None) -> list[float]:
    """Return when one person sends, s from the start."""
    if scenario == "long-pauses":
        count, interval_s = count or 3, timers.quiet_ms / 1000 + 1 if interval_s is None else interval_s
    elif scenario == "overflow":
        count, interval_s = count or timers.max_size + 2, interval_s or 0.0
    else:
        count, interval_s = count or 8, 0.1 if interval_s is None else interval_s
    return [place * interval_s for place in range(count)]


def schedule(phones: list[str], times: list[float], run: str) -> list[PlannedMessage]:
    """Return what every person sends, in the order of time."""
    sendings = [
        PlannedMessage(at, phone, f"{run}-{who}-{place}", f"{place + 1}/{len(times)}")
        for who, phone in enumerate(phones)
        for place, at in enumerate(times)
    ]
    return sorted(sendings, key=lambda one: one.at_s)


def due_ms(merged: Merged, timers: Timers) -> int:
    """Return when the settings promise this batch to leave, from the times its messages arrived."""
    arrivals = [one.receivedAt for one in merged.messages]
    if len(arrivals) >= timers.max_size:
        return arrivals[-1]
    return min(arrivals[-1] + timers.quiet_ms, arrivals[0] + timers.max_wait_ms)


def check(
    sendings: list[PlannedMessage], merged: list[Merged], timers: Timers, expected: int | None = None
) -> Verdict:
    """Hold what came out against what was sent and what the settings promise."""
    failures: list[str] = []
    ids = [one.messageId for batch in merged for one in batch.messages]
    lost = {one.id for one in sendings} - set(ids)
    if lost:
        failures.append(f"{len(lost)} of {len(sendings)} messages did not come out")
    if len(ids) != len(set(ids)):
        failures.append(f"{len(ids) - len(set(ids))} messages came out more than once")
    failures += _out_of_order(sendings, merged)
    worst = 0
    for batch in merged:
        late = batch.handed_ms - due_ms(batch, timers)
        worst = max(worst, late)
        failures += _about(batch, late, timers)
    if expected is not None and len(merged) != expected:
        failures.append(f"{expected} batches were expected, {len(merged)} came out")
    return Verdict(len(sendings), len(set(ids)), len(merged), worst, failures)


def _about(batch: Merged, late: int, timers: Timers) -> list[str]:
    found = []
    if batch.count > timers.max_size:
        found.append(f"{batch.id} has {batch.count} messages, more than {timers.max_size}")
    if late > TOLERANCE_MS:
        found.append(f"{batch.id} left {late} ms late")
    if late < -1 and batch.reason not in ("flush", "shutdown"):
        found.append(f"{batch.id} left {-late} ms early ({batch.reason})")
    if batch.reason in ("flush", "shutdown"):
        found.append(f"{batch.id} left because of a {batch.reason}, not by itself")
    return found


def _out_of_order(sendings: list[PlannedMessage], merged: list[Merged]) -> list[str]:
    sent: dict[str, list[str]] = {}
    came: dict[str, list[str]] = {}
    for one in sendings:
        sent.setdefault(one.phone, []).append(one.id)
    for batch in sorted(merged, key=lambda batch: tuple(int(part) for part in batch.id.split("-"))):
        came.setdefault(batch.phone, []).extend(one.messageId for one in batch.messages)
    return [
        f"{phone}: out of order"
        for phone, ids in came.items()
        if ids != [one for one in sent.get(phone, []) if one in set(ids)]
    ]
