"""The line of an event for a person: when, which way, who, what. A person has the same colour in every line."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rfctl.cli.output import format_time_of_day
from rfctl.cli.signs import STYLES
from rfctl.observe import (
    BatchHandedOver,
    DeliveryEnded,
    Event,
    HoldChanged,
    MessageDropped,
    MessageReceived,
)
from rfctl.text import duration, visible

if TYPE_CHECKING:
    from rich.text import Text

_COLOURS = (
    "color(33)", "color(37)", "color(67)", "color(71)", "color(98)", "color(103)", "color(132)", "color(136)",
    "color(139)", "color(166)", "color(173)", "color(170)",
)  # fmt: skip
"""They can be read on a dark and on a light ground, and none is the colour of a state."""

_SLOW_MS = 1000
"""What was handed over so much later than due is worth a look."""
Part = tuple[str, str]
"""A piece of a line, and its style."""


def choose_colour(phone: str) -> str:
    """Return the colour of a person: the same in every process."""
    return _COLOURS[zlib.crc32(phone.encode(errors="replace")) % len(_COLOURS)]


def list_parts(event: Event) -> Iterator[Part]:
    """Yield the pieces of an event's line. What strangers wrote is made safe, and their text comes last."""
    yield format_time_of_day(event.at_ms) + " ", "dim"
    match event:
        case MessageReceived():
            yield from _list_received(event)
        case BatchHandedOver():
            yield from _list_handed_over(event)
        case DeliveryEnded():
            yield from _list_ended(event)
        case MessageDropped():
            yield "-x- ", ""
            yield visible(event.phone), choose_colour(event.phone)
            yield f"  dropped by rule {visible(event.rule)}", STYLES["idle"]
            yield f"  {visible(event.id)}", "dim"
        case HoldChanged():
            yield from _list_hold(event)


def _list_received(event: MessageReceived) -> Iterator[Part]:
    yield "--> ", ""
    yield visible(event.phone), choose_colour(event.phone)
    due = f", due in {duration(event.due_in_ms)}" if event.due_in_ms else ""
    yield f"  {event.size} pending{due}  ", "dim"
    yield visible(event.message.text), ""


def _list_handed_over(event: BatchHandedOver) -> Iterator[Part]:
    yield "<-- ", "bold"
    yield visible(event.phone), choose_colour(event.phone)
    how = "as one" if event.id else "dropped"
    yield visible(f"  {event.count} {how} ({event.reason}, {duration(event.waited_ms)})"), "dim"
    is_slow = event.late_ms >= _SLOW_MS  # less says nothing, and takes the room of the text
    yield (f", {duration(event.late_ms)} late" if is_slow else ""), STYLES["warn"]
    yield "  ", ""
    yield visible(event.text), "bold" if event.id else "dim"


def _list_ended(event: DeliveryEnded) -> Iterator[Part]:
    is_fine = event.outcome == "delivered"
    yield "==> ", ""
    yield visible(event.phone), choose_colour(event.phone)
    yield f"  {visible(event.sink)} ", "bold"
    yield event.outcome, STYLES["ok" if is_fine else "fail" if event.outcome != "dropped" else "idle"]
    yield (f" in {duration(event.took_ms)}" if event.took_ms is not None else ""), "dim"
    yield (f", attempt {event.attempts}" if event.attempts > 1 else ""), STYLES["warn"] if is_fine else "dim"
    yield f"  {visible(event.id)}", "dim"


def _list_hold(event: HoldChanged) -> Iterator[Part]:
    yield "=== ", "bold"
    yield visible(event.phone), choose_colour(event.phone)
    is_held = event.event == "held"
    yield (
        f"  held for {duration(max(0, event.until_ms - event.at_ms))}" if is_held else "  released",
        STYLES["warn"],
    )


def draw_event(event: Event) -> Text:
    """Return an event's line for a terminal."""
    from rich.text import Text

    return Text.assemble(*list_parts(event), no_wrap=True, end="")
