"""Events as they are published, and the lines that `tail` makes of them."""

from __future__ import annotations

from rfctl.cli.tail import as_json, render_line
from rfctl.observe import BatchHandedOver
from rfctl.observe.events import decode_event

DROPPED = (
    b'{"event":"out","id":"","phone":"7900","reason":"empty","count":2,"waited_ms":5000,"late_ms":3,'
    b'"discarded":0,"at_ms":1758000000123,"text":""}'
)


def test_batch_that_said_nothing_is_shown_as_dropped() -> None:
    event = decode_event(DROPPED)
    assert event.at_ms == 1758000000123
    assert "<-- 7900  2 dropped (empty, 5.0 s)" in render_line(event)
    shown = as_json(event)
    assert (shown["event"], shown["id"], shown["time"]) == ("dropped", None, "2025-09-16T05:20:00.123Z")


def test_no_part_of_an_event_acts_on_a_terminal() -> None:
    event = BatchHandedOver("1-1", "\x1b[2Jp", "quiet\u202e", 1, 1, 0, "te\x9bxt\u200f")
    assert not any(hostile in render_line(event) for hostile in ("\x1b", "\u202e", "\x9b", "\u200f"))
