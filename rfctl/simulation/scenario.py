"""Scripted conversations: who sends what, and when. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rfctl.batching.policy import Timers

Scenario = Literal["rapid-fire", "long-pauses", "overflow"]


@dataclass(frozen=True, slots=True)
class PlannedMessage:
    """A message to send: at which time from the start (s), by whom, and what."""

    at_s: float
    phone: str
    id: str
    text: str


def plan_times(
    scenario: Scenario, timers: Timers, count: int | None, interval_s: float | None
) -> list[float]:
    """Return when one person sends, s from the start."""
    if scenario == "long-pauses":
        count, interval_s = count or 3, timers.quiet_ms / 1000 + 1 if interval_s is None else interval_s
    elif scenario == "overflow":
        count, interval_s = count or timers.max_size + 2, interval_s or 0.0
    else:
        count, interval_s = count or 8, 0.1 if interval_s is None else interval_s
    return [place * interval_s for place in range(count)]


def schedule(phones: list[str], times: list[float], run: str) -> list[PlannedMessage]:
    """Return what every person sends, in the order of time; `run` begins every message id."""
    messages = [
        PlannedMessage(at, phone, f"{run}-{person}-{place}", f"{place + 1}/{len(times)}")
        for person, phone in enumerate(phones)
        for place, at in enumerate(times)
    ]
    return sorted(messages, key=lambda message: message.at_s)
