"""What `rfctl demo` prints: a heading, a line for what each person writes and what the bot gets, and what to do next."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rfctl.cli.event_line import choose_colour
from rfctl.observe import BatchHandedOver, Event, MessageReceived
from rfctl.store.embedded_folder import EmbeddedFolder
from rfctl.text import duration, visible

if TYPE_CHECKING:
    from rich.console import Console

_AT_ONCE_MS = 150
"""A person's messages so shortly after each other share a line."""
_BETWEEN, _MORE = " · ", " …"
_PATH = "/webhook/generic"
_WORDS = {"quiet": "silent for {}", "size": "full", "max_wait": "waited long enough"}


class Story:
    """Prints events line by line, with the time since the first; a line stays open for what a person writes at once."""

    def __init__(self, console: Console, quiet_ms: int) -> None:
        self._console = console
        self._quiet = duration(quiet_ms)
        self._began_ms: int | None = None
        self._open = ("", 0)
        """Whose line is open, and when its last message came; nobody's at first."""
        self._room = 0
        """How many columns the open line still has."""

    def print_heading(self) -> None:
        """Say who writes, and how to read the lines."""
        self._console.print("rfctl runs here with a private Valkey. Three people write to your bot.")
        self._console.print(
            "  -->  a person writes    <--  your bot gets it as one message, after a silence\n"
        )

    def show(self, event: Event) -> None:
        """Print what a person wrote, or what the bot gets."""
        match event:
            case MessageReceived():
                self._show_received(event)
            case BatchHandedOver():
                self._show_handed_over(event)

    def end(self) -> None:
        """End the open line."""
        if self._open[0]:
            self._console.print()
        self._open = ("", 0)

    def _show_received(self, event: MessageReceived) -> None:
        text = visible(event.message.text)
        phone, at_ms = self._open
        if phone == event.phone and event.at_ms - at_ms <= _AT_ONCE_MS:
            self._extend(text)
        else:
            self._begin("-->", event)
            self._print(text)
        self._open = (event.phone, event.at_ms)

    def _show_handed_over(self, event: BatchHandedOver) -> None:
        why = _WORDS.get(event.reason, event.reason).format(self._quiet)
        self._begin("<--", event)
        self._print(f"{event.count} as one, {why}: ", "dim")
        self._print(visible(event.text), "bold")
        self.end()

    def _begin(self, arrow: str, event: MessageReceived | BatchHandedOver) -> None:
        self.end()
        self._open = (event.phone, event.at_ms)
        self._room = self._console.size.width - 1
        self._began_ms = event.at_ms if self._began_ms is None else self._began_ms
        self._print(f"{max(0, event.at_ms - self._began_ms) / 1000:4.1f} s ", "dim")
        self._print(f"{arrow} ", "bold" if arrow == "<--" else "")
        self._print(f"{visible(event.phone.removeprefix('demo-')):<8}", choose_colour(event.phone))

    def _extend(self, text: str) -> None:
        """Put one more message on the open line; where it has no room, a sign that there is more, once."""
        from rich.cells import cell_len

        if cell_len(_BETWEEN + text + _MORE) <= self._room:
            self._print(_BETWEEN + text)
        elif self._room:
            self._print(_MORE)
            self._room = 0

    def _print(self, text: str, style: str = "") -> None:
        from rich.text import Text

        if not self._room:
            return
        piece = Text(text, style)
        piece.truncate(self._room, overflow="ellipsis")
        self._room = max(0, self._room - piece.cell_len)
        self._console.print(piece, end="")
        self._console.file.flush()


def build_next_steps(listener: str, folder: Path | None) -> str:
    """Return what to type next: with a `folder` the demo stays, and its own store is there."""
    program = find_program()
    url = listener if folder else "http://127.0.0.1:3000"
    curl = (
        f"  curl {url}{_PATH} -H 'Content-Type: application/json' "
        """-d '{"from":"79001234567","message":"Hello"}'"""
    )
    if folder:
        readers = EmbeddedFolder(folder).readers_line
        return f"\nYour turn, in another shell. With the second line `{program} stats` and workers find its server.\n{curl}\n  {readers}"
    return (
        "\nYour turn: the daemon in this shell, and the others in a second.\n"
        f"  {program} serve --embedded\n{curl}\n  {program} tail --embedded --since 1m"
    )


def find_program() -> str:
    """Return how to call rfctl from here: its name where PATH finds it, else the path that it was called by."""
    called = sys.argv[0]
    return called if shutil.which("rfctl") is None and Path(called).name == "rfctl" else "rfctl"
