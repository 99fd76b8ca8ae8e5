"""What the calls of one scheduler have done so far, as plain ints for the metrics."""

from __future__ import annotations

from rfctl.model.histogram import Histogram
from rfctl.model.stored import HandedOver

_BOUNDS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""From what a call takes on this machine up to what a Redis in trouble takes."""


class TurnCounts:
    """Counts since the start of this process. `call_seconds` has how long each call took."""

    __slots__ = ("batches", "call_seconds", "clamped", "messages", "overdue", "set_aside")

    def __init__(self) -> None:
        self.batches = self.messages = self.overdue = self.clamped = self.set_aside = 0
        self.call_seconds = Histogram(_BOUNDS_S)

    def add(self, answer: HandedOver, seconds: float) -> None:
        """Count what one call has handed over; it took so many seconds."""
        self.batches += answer.batches
        self.messages += answer.messages
        self.overdue += answer.overdue
        self.clamped += answer.clamped
        self.set_aside += answer.set_aside
        self.call_seconds.add(seconds)
