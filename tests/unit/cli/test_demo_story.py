"""What the demo prints: it fits a terminal of 80 columns, and what a person writes at once shares a line."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from rfctl.cli.demo_story import Story, build_next_steps, find_program
from rfctl.model.stored import decode_item
from rfctl.observe import BatchHandedOver, MessageReceived

BEGAN_MS = 1_795_536_772_000


def received(after_ms: int, text: str, phone: str = "demo-anna") -> MessageReceived:
    message = decode_item(json.dumps({"message": text}).encode())
    return MessageReceived(phone, BEGAN_MS + after_ms, 1, 5000, message)


def handed_over(after_ms: int, text: str, reason: str = "quiet", count: int = 4) -> BatchHandedOver:
    return BatchHandedOver(f"{BEGAN_MS + after_ms}-0", "demo-anna", reason, count, 5000, 1, text)


def tell(*events: MessageReceived | BatchHandedOver, width: int = 80) -> list[str]:
    file = io.StringIO()
    story = Story(Console(file=file, width=width, markup=False, emoji=False, highlight=False), 5000)
    for event in events:
        story.show(event)
    story.end()
    return file.getvalue().splitlines()


def test_lines_say_when_who_and_what() -> None:
    assert tell(received(0, "Привет,"), received(700, "запишите"), handed_over(5700, "Привет, запишите")) == [
        " 0.0 s --> anna    Привет,",
        " 0.7 s --> anna    запишите",
        " 5.7 s <-- anna    4 as one, silent for 5.0 s: Привет, запишите",
    ]


def test_messages_at_once_share_a_line_until_another_person_or_a_hand_over() -> None:
    assert tell(
        received(0, "1"), received(10, "2"), handed_over(20, "1 2", "size", 2), received(30, "3"),
        received(31, "Hi", "demo-boris"), received(32, "4"), received(900, "5"),
    ) == [
        " 0.0 s --> anna    1 · 2", " 0.0 s <-- anna    2 as one, full: 1 2", " 0.0 s --> anna    3",
        " 0.0 s --> boris   Hi", " 0.0 s --> anna    4", " 0.9 s --> anna    5",
    ]  # fmt: skip


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("text", ["photo 12", "привет", "你好吗", "x" * 300, "x\x1b[2J\ny"])
def test_no_line_is_wider_than_the_terminal_or_acts_on_it(text: str, width: int) -> None:
    events = [received(i, text) for i in range(30)]
    file = io.StringIO()
    story = Story(Console(file=file, width=width, markup=False, emoji=False, highlight=False), 5000)
    for event in events:
        story.show(event)
    story.show(handed_over(60, text * 30))
    lines = file.getvalue().splitlines()
    assert len(lines) == 2
    assert all(cell_len(line) < width and line.endswith("…") for line in lines)
    assert "\x1b" not in file.getvalue()


def test_next_steps_name_the_program_as_it_can_be_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", [".venv/bin/rfctl", "demo"])
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert ".venv/bin/rfctl serve --embedded" in build_next_steps("http://127.0.0.1:1", None)
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/rfctl")
    assert find_program() == "rfctl"


def test_next_steps_of_a_demo_that_stays_are_for_its_own_daemon(tmp_path: Path) -> None:
    steps = build_next_steps("http://127.0.0.1:4321", tmp_path)
    assert "curl http://127.0.0.1:4321/webhook/" in steps
    assert f"export RFCTL_REDIS__URL=$(cat {tmp_path}/store.url)" in steps
