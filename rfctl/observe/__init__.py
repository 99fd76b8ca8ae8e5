"""What is going on, for every reader: command line, HTTP, log."""

from rfctl.observe.events import (
    BatchHandedOver,
    Event,
    HoldChanged,
    MessageReceived,
    follow_events,
    follow_on,
)
from rfctl.observe.health import Finding, findings
from rfctl.observe.outcomes import DeliveryEnded, MessageDropped, Outcomes
from rfctl.observe.rates import Rates, measure_rates
from rfctl.observe.resuming import PASSING, RETRY_S, follow_through
from rfctl.observe.snapshot import Snapshot, take_snapshot

__all__ = [
    "PASSING",
    "RETRY_S",
    "BatchHandedOver",
    "DeliveryEnded",
    "Event",
    "Finding",
    "HoldChanged",
    "MessageDropped",
    "MessageReceived",
    "Outcomes",
    "Rates",
    "Snapshot",
    "findings",
    "follow_events",
    "follow_on",
    "follow_through",
    "measure_rates",
    "take_snapshot",
]
