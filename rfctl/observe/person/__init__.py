"""Where a person's messages are, and what became of them: the same facts and words for every reader."""

from rfctl.observe.person.events import Event
from rfctl.observe.person.outcome import Outcome
from rfctl.observe.person.sight import Sight, find_batch_keys, is_batch_key, parse_person
from rfctl.observe.person.trail import Trail, follow_trail
from rfctl.observe.person.words import describe_hold, describe_release, hold_as_json

__all__ = [
    "Event",
    "Outcome",
    "Sight",
    "Trail",
    "describe_hold",
    "describe_release",
    "find_batch_keys",
    "follow_trail",
    "hold_as_json",
    "is_batch_key",
    "parse_person",
]
