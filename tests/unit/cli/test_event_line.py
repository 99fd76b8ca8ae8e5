"""The lines of `tail`: one a message, cut to the terminal, with a colour a person that no state has."""

from __future__ import annotations

import io
import json

import pytest
from rich.cells import cell_len
from rich.console import Console

from rfctl.cli.event_line import _COLOURS, choose_colour, draw_event
from rfctl.cli.fitting import cut
from rfctl.cli.signs import STYLES
from rfctl.cli.tail import _build_filter, as_json, render_line
from rfctl.errors import UsageError
from rfctl.model.stored import decode_item
from rfctl.observe import BatchHandedOver, DeliveryEnded, MessageDropped, MessageReceived
from rfctl.store import DeliveryOutcome

TEXTS = {
    "russian": "Привет, запишите меня на завтра в десять утра, пожалуйста, и жену тоже",
    "rtl": "שלום, אני רוצה לקבוע תור למחר בבוקר בשעה עשר בבקשה תודה רבה לכם מאוד",
    "cjk": "你好，我想预约明天的时间" * 5,
    "emoji": "👍🏽👨‍👩‍👧🇩🇪❤️" * 12,
    "hostile": "x\x1b[2J\x9b2J\u202egnirts\u2066\n" * 9,
    "long": "W" * 500,
}


def received(text: str, phone: str = "79001234567") -> MessageReceived:
    message = decode_item(json.dumps({"message": text, "receivedAt": 1_758_000_000_000}).encode())
    return MessageReceived(phone, 1_758_000_000_000, 2, 5000, message)


def handed_over(text: str, phone: str = "79001234567") -> BatchHandedOver:
    return BatchHandedOver("1758000000000-0", phone, "quiet", 2, 5000, 0, text)


def ended(
    outcome: DeliveryOutcome = "delivered",
    *,
    attempts: int = 1,
    took_ms: int | None = 8,
    phone: str = "79001234567",
    sink: str = "bot",
) -> DeliveryEnded:
    return DeliveryEnded("1758000000000-0", phone, sink, outcome, attempts, took_ms, 1_758_000_000_008)


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_event_is_one_line_that_fits(text: str, width: int) -> None:
    for event in (received(text), handed_over(text), ended(phone=text), ended(sink=text)):
        line = draw_event(event)
        cut(line, width)
        assert cell_len(line.plain) <= width
        assert not any(ord(char) < 32 or char in "\x9b\u202e\u2066" for char in line.plain)


def test_line_is_whole_where_no_terminal_is() -> None:
    assert render_line(handed_over(TEXTS["long"])).endswith(TEXTS["long"])


def test_skin_tone_that_a_terminal_draws_apart_breaks_no_line() -> None:
    line = draw_event(handed_over("👍🏽" * 40))
    cut(line, 80)
    assert cell_len(line.plain) + 2 * line.plain.count("🏽") <= 80


def test_person_has_one_colour_which_no_state_has() -> None:
    phones = [f"7900123{number:04d}" for number in range(200)]
    assert {choose_colour(phone) for phone in phones} == set(_COLOURS)
    assert choose_colour(phones[0]) == choose_colour(phones[0])
    assert not set(_COLOURS) & set(STYLES.values())


def test_direction_and_lateness_are_said_without_a_colour() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, no_color=True, width=200)
    for late_ms in (900, 1900):
        console.print(draw_event(BatchHandedOver("1758000000000-0", "7", "quiet", 2, 5000, late_ms, "x")))
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert "<-- " in printed
    assert "1.9 s late" in printed
    assert printed.count("late") == 1, "what hardly matters takes no room from the text"
    assert "38;5" not in printed


def test_grep_takes_text_or_phone_whatever_the_case() -> None:
    is_wanted = _build_filter(None, "ОТМЕН|^7900")
    assert is_wanted(received("хочу отменить", "8"))
    assert is_wanted(handed_over("x", "79001"))
    assert not is_wanted(handed_over("x", "89001"))
    assert not _build_filter("8", "x")(handed_over("x", "7"))


def test_outcome_says_to_whom_how_fast_and_at_which_attempt() -> None:
    assert " ==> 79001234567  bot delivered in 8 ms  1758000000000-0" in render_line(ended())
    assert "bot delivered in 1.2 s, attempt 3  " in render_line(ended(attempts=3, took_ms=1200))
    assert "bot dead, attempt 8  " in render_line(ended("dead", attempts=8, took_ms=None))
    assert "bot missing  " in render_line(ended("missing", attempts=0, took_ms=None))


def test_dropped_message_names_its_rule() -> None:
    dropped = MessageDropped("wamid.1", "79001234567", "closed", 1_758_000_000_008)
    assert " -x- 79001234567  dropped by rule closed  wamid.1" in render_line(dropped)
    assert as_json(dropped) == {
        "event": "message_dropped", "time": "2025-09-16T05:20:00.008Z", "phone": "79001234567", "id": "wamid.1",
        "rule": "closed",
    }  # fmt: skip
    assert _build_filter(None, "clos")(dropped)
    assert not _build_filter("8", None)(dropped)
    assert not _build_filter(None, "wamid")(dropped)


def test_only_a_bad_outcome_has_the_colour_of_a_failure() -> None:
    outcomes: tuple[DeliveryOutcome, ...] = ("delivered", "dead", "missing", "dropped")
    styles = {outcome: [str(span.style) for span in draw_event(ended(outcome)).spans] for outcome in outcomes}
    assert [outcome for outcome, used in styles.items() if STYLES["fail"] in used] == ["dead", "missing"]


def test_outcome_as_json() -> None:
    assert as_json(ended(attempts=2)) == {
        "event": "delivery", "time": "2025-09-16T05:20:00.008Z", "phone": "79001234567", "id": "1758000000000-0",
        "sink": "bot", "outcome": "delivered", "attempts": 2, "took_ms": 8,
    }  # fmt: skip


def test_outcomes_of_a_message_that_grep_shows_are_shown_too() -> None:
    is_wanted = _build_filter(None, "refund")
    assert not is_wanted(ended())
    assert not is_wanted(handed_over("hello"))
    assert not is_wanted(ended())
    assert is_wanted(handed_over("a refund, please"))
    assert is_wanted(ended())
    assert is_wanted(ended(sink="refunds")), "a sink is found by its name"
    assert not _build_filter("8", "refund")(ended(sink="refunds"))


def test_grep_that_re2_does_not_take_is_a_wrong_command_line() -> None:
    with pytest.raises(UsageError, match="--grep"):
        _build_filter(None, "(?<=a)b")
