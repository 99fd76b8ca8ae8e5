from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfctl.observe import logging as logs
from rfctl.text import counted, duration, mask_phone, visible


def test_control_characters_are_shown_and_not_obeyed() -> None:
    assert visible("\x1b[2J\x9b0m\u202eabc\r\n") == "\\x1b[2J\\x9b0m\\u202eabc\\r\\n"
    assert visible("[bold red]hi[/]") == "[bold red]hi[/]"


@given(st.text())
def test_nothing_that_acts_on_a_terminal_remains(text: str) -> None:
    shown = visible(text)
    assert all(char.isprintable() or char not in "\x1b\r\n\x07\x9b\u202e" for char in shown)
    shown.encode()


@pytest.mark.parametrize(("phone", "shown"), [("79001234567", "79001•••67"), ("12", "1•••"), ("", "•••")])
def test_a_phone_is_masked(phone: str, shown: str) -> None:
    assert mask_phone(phone) == shown


@pytest.mark.parametrize(
    ("ms", "shown"),
    [(340, "340 ms"), (4200, "4.2 s"), (185_000, "3 min 5 s"), (7_380_000, "2 h 3 min"), (-5, "-5 ms")],
)
def test_durations_are_read_by_people(ms: int, shown: str) -> None:
    assert duration(ms) == shown


def test_a_log_line_is_one_json_object_with_the_phone_masked(capsys: pytest.CaptureFixture[str]) -> None:
    import sys

    import structlog

    logs.configure(level="info", format="auto", mask=True, stream=sys.stderr)
    structlog.get_logger().info("x", phone="79001234567", pending=[{"phone": "79001234567"}], text="a\nb\x1b")
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    event = json.loads(line)
    assert event["phone"] == "79001•••67"
    assert event["pending"][0]["phone"] == "79001•••67"
    assert "4567" not in line
    assert event["text"] == "a\\nb\\x1b"


def test_a_count_agrees_with_its_noun() -> None:
    assert [counted(n, "batch") for n in (0, 1, 2)] == ["0 batches", "1 batch", "2 batches"]
    assert [counted(n, "entry") for n in (0, 1, 2)] == ["0 entries", "1 entry", "2 entries"]
    assert counted(1, "message") + counted(3, "message") == "1 message3 messages"
