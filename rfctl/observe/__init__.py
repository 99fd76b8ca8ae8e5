"""What is going on, for every reader: command line, HTTP, log."""

from rfctl.observe.events import BatchHandedOver, Event, MessageReceived, follow_events, past_events
from rfctl.observe.snapshot import Snapshot, take_snapshot

__all__ = [
    "BatchHandedOver",
    "Event",
    "MessageReceived",
    "Snapshot",
    "follow_events",
    "past_events",
    "take_snapshot",
]
