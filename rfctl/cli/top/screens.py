"""The screens over the board: a question, an entry, and texts to read. Escape closes each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

_BOX = """
    { align: center middle; }
    #box { width: 90%; max-width: 110; height: auto; max-height: 90%; border: round $foreground; padding: 0 1; }
    #scroll { height: auto; max-height: 100%; }
    Input, Input:focus { border: none; height: 1; padding: 0; }
"""
_ALL = 1_000_000
"""More lines than any text has."""


class Question(ModalScreen[bool]):
    """Asks before something is done. The answer is yes for y alone: Enter may be a slip of the finger."""

    DEFAULT_CSS = f"Question {_BOX}"
    BINDINGS: ClassVar[list[BindingType]] = [("y", "answer(True)"), ("n,escape,enter,q", "answer(False)")]

    def __init__(self, question: Text) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """Show the question, and the keys."""
        with Vertical(id="box"):
            yield Static(self._question)
            yield Static(Text("\ny yes   n no", style="bold"))

    def action_answer(self, answer: bool) -> None:
        """Close it with an answer."""
        self.dismiss(answer)


class Entry(ModalScreen[str | None]):
    """Asks for a text. Enter takes it, Escape takes nothing."""

    DEFAULT_CSS = f"Entry {_BOX}"
    BINDINGS: ClassVar[list[BindingType]] = [("escape", "leave")]

    def __init__(self, question: Text, value: str = "") -> None:
        super().__init__()
        self._question = question
        self._value = value

    def compose(self) -> ComposeResult:
        """Show the question, and a field."""
        with Vertical(id="box"):
            yield Static(self._question)
            yield Input(self._value, select_on_focus=True)
            yield Static(Text("\n⏎ go on   Esc leave", style="bold"))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Close it with what was typed."""
        self.dismiss(event.value.strip() or None)

    def action_leave(self) -> None:
        """Close it without anything."""
        self.dismiss(None)


class Reading(ModalScreen[None]):
    """Shows lines to read, as long as they may be; keys scroll."""

    DEFAULT_CSS = f"Reading {_BOX}"
    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,q,enter,w,question_mark", "leave"), ("down,j", "scroll(1)"), ("up,k", "scroll(-1)"),
        ("pagedown,space", "scroll(20)"), ("pageup", "scroll(-20)"), ("home", f"scroll(-{_ALL})"), ("end", f"scroll({_ALL})"),
    ]  # fmt: skip

    def __init__(self, title: Text, lines: Sequence[Text]) -> None:
        super().__init__()
        self._title = title
        self._lines = lines

    def compose(self) -> ComposeResult:
        """Show the title, the lines, and how to leave."""
        with Vertical(id="box"):
            yield Static(self._title)
            with VerticalScroll(id="scroll", can_focus=False):
                yield Static(
                    Text("\n").join(self._lines)
                )  # a widget for each of thousands would take minutes
            yield Static(Text("Esc close   ↑↓ PgUp PgDn Home End scroll", style="dim"))

    def action_leave(self) -> None:
        """Close it."""
        self.dismiss(None)

    def action_scroll(self, lines: int) -> None:
        """Move by so many lines."""
        self.query_one("#scroll").scroll_relative(y=lines, animate=False)
