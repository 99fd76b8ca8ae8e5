"""What is going on, for every reader: command line, HTTP, log."""

from rfctl.observe.events import BatchHandedOver, Event, MessageReceived, follow_events, follow_on
from rfctl.observe.health import Finding, findings
from rfctl.observe.rates import Rates, measure_rates
from rfctl.observe.snapshot import Snapshot, take_snapshot

__all__ = [
    "BatchHandedOver",
    "Event",
    "Finding",
    "MessageReceived",
    "Rates",
    "Snapshot",
    "findings",
    "follow_events",
    "follow_on",
    "measure_rates",
    "take_snapshot",
]
