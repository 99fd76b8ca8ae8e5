"""The screen itself: it looks every second, draws, and asks before a key does anything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.widgets import Static

from rfctl.cli.outage import Outage
from rfctl.cli.output import safe
from rfctl.cli.top.board import Notice, draw_board
from rfctl.cli.top.deeds import Deeds
from rfctl.cli.top.screens import Entry, Question, Reading
from rfctl.cli.top.texts import write_events, write_findings, write_help
from rfctl.cli.top.view import View
from rfctl.errors import RfctlError
from rfctl.observe import PASSING
from rfctl.observe.overview import Overview, SinkRow, WaitingRow
from rfctl.observe.watching import Watcher
from rfctl.text import counted, mask_urls, show_phone

_EVERY_S = 1.0
_NOTICE_S = 10.0
"""So long it is said what a key has done."""
_LEAST_ROWS = 20


class TopApp(App[None]):
    """`rfctl top`. `failure` is what ended it, if something did that does not pass."""

    CSS = "Screen { overflow: hidden; } #board { height: 100%; width: 100%; }"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        ("q", "quit"), ("down,j", "move(1)"), ("up,k", "move(-1)"), ("pagedown", "move(10)"), ("pageup", "move(-10)"),
        ("slash", "find"), ("enter", "person"), ("f", "flush"), ("x", "discard"), ("h", "hold"), ("l", "release"),
        ("p", "pause"), ("r", "resume"), ("w", "findings"), ("s", "sort"), ("n", "numbers"), ("question_mark", "help"),
    ]  # fmt: skip

    def __init__(
        self,
        watcher: Watcher,
        deeds: Deeds,
        *,
        is_read_only: bool = False,
        every_s: float = _EVERY_S,
        read_clock_s: Callable[[], float] = time.time,
    ) -> None:
        # The colours are those of the operator's terminal; with NO_COLOR Textual would else draw black on black.
        super().__init__(ansi_color=True)
        self._watcher = watcher
        self._deeds = deeds
        self._every_s = every_s
        self._read_clock_s = read_clock_s
        self._view = View(is_read_only=is_read_only)
        self._overview: Overview | None = None
        self._outage: Outage | None = None
        self._notice: Notice | None = None
        self._noticed_at = 0.0
        self.failure: RfctlError | None = None

    def compose(self) -> ComposeResult:
        """Show one board of lines."""
        yield Static(id="board")

    def on_mount(self) -> None:
        """Begin to look."""
        self.theme = "ansi-dark"
        self._watch()

    @work
    async def _watch(self) -> None:
        """Look again and again; a time without Redis passes."""
        while self.failure is None:
            await self._look()
            self._draw()
            await asyncio.sleep(self._every_s)

    async def _look(self) -> None:
        self._watcher.limit = max(_LEAST_ROWS, self.size.height)
        try:
            overview = await self._watcher.look()
        except PASSING as problem:
            self._outage = self._outage or Outage(problem)
            return
        except RfctlError as problem:
            self.failure = problem
            self.exit()
            return
        self._view = self._view.follow(self._overview, overview)
        self._overview, self._outage = overview, None

    def on_resize(self) -> None:
        """Fill the new size."""
        self._draw()

    def _draw(self) -> None:
        if self._notice is not None and time.monotonic() - self._noticed_at > _NOTICE_S:
            self._notice = None
        for board in self.query("#board").results(Static):  # at the end it is gone before the watch is
            board.update(self._compose_board())

    def _compose_board(self) -> Text:
        width, height = self.size
        if self._overview is None:
            # Since when it is away nobody knows here: it was so from the first look.
            away = f"Redis is away, trying again: {self._outage.fact}" if self._outage else "looking …"
            return safe(f"rfctl top  {away}")
        now_ms = self._read_clock_s() * 1000
        lines = draw_board(self._overview, self._view, width, height, now_ms, self._outage, self._notice)
        board = Text("\n", no_wrap=True, end="").join(lines)
        board.no_wrap, board.overflow = True, "crop"
        return board

    # --- Keys that show

    def action_move(self, steps: int) -> None:
        """Choose another line."""
        if self._overview is not None:
            self._notice = None
            self._view = self._view.move(self._overview, steps)
            self._draw()

    def action_sort(self) -> None:
        """Sort those who wait in the next order."""
        self._view = self._view.sort_next()
        self._draw()

    def action_numbers(self) -> None:
        """Show phones whole, or masked again."""
        self._view = replace(self._view, has_whole_phones=not self._view.has_whole_phones)
        self._draw()

    def action_help(self) -> None:
        """Show the keys."""
        lines = write_help(is_read_only=self._view.is_read_only)
        self.push_screen(Reading(safe("rfctl top", "bold"), lines))

    def action_findings(self) -> None:
        """Show all that needs an operator."""
        if self._overview is not None:
            self.push_screen(Reading(safe("needs you", "bold"), write_findings(self._overview.findings)))

    @work
    async def action_find(self) -> None:
        """Ask for a person, and show what became of their messages."""
        person = await self.push_screen_wait(Entry(safe("find a person, by phone or batch key", "bold")))
        if person is not None:
            await self._show_person(person, person)

    @work
    async def action_person(self) -> None:
        """Show what became of the chosen person's messages."""
        if (row := self._choose_row()) is not None:
            await self._show_person(row.phone, self._name_person(row))

    async def _show_person(self, person: str, title: str) -> None:
        async def find() -> str:
            rows = await self._deeds.find(person)
            self.push_screen(Reading(safe(title, "bold"), write_events(rows)))
            return ""

        await self._do(find)

    # --- Keys that act

    @work
    async def action_flush(self) -> None:
        """Hand the chosen batch over now."""
        if (row := self._choose_row(acting=True)) is not None:
            question = f"Hand over {counted(row.size, 'message')} of {self._name_person(row)} now?"
            await self._ask_and_do(question, row, lambda: self._deeds.flush(row.batch_key))

    @work
    async def action_discard(self) -> None:
        """Throw the chosen batch away, and show it: it is the last copy."""
        if (row := self._choose_row(acting=True)) is None:
            return
        batch_key = row.batch_key

        async def discard() -> str:
            lines = await self._deeds.discard(batch_key)
            if lines:
                title = safe(f"discarded: the last copy of {counted(len(lines), 'message')}", "bold")
                self.push_screen(Reading(title, [safe(line) for line in lines]))
            return f"{counted(len(lines), 'message')} discarded" if lines else "nothing was pending any more"

        lead = ""
        while True:
            what = f"{counted(row.size, 'message')} of {self._name_person(row)}"
            question = safe(f"{lead}Throw away {what}? The bot will never see it.", "bold")
            if not await self.push_screen_wait(Question(question)):
                return
            now = self._find_row(batch_key)
            if now is None or now.size == row.size:
                break
            row, lead = now, "This has changed meanwhile. "
        await self._do(discard, self._name_person(row))

    @work
    async def action_hold(self) -> None:
        """Hold the chosen person for a time."""
        if (row := self._choose_row(acting=True)) is None:
            return
        question = safe(f"Hold {self._name_person(row)} for how long? 90s, 30m, 2h or 7d", "bold")
        duration = await self.push_screen_wait(Entry(question, "2h"))
        if duration is not None:
            await self._do(lambda: self._deeds.hold(row.batch_key, duration), self._name_person(row))

    @work
    async def action_release(self) -> None:
        """Release the chosen person; one who is not held, or has no message, is asked for."""
        if self._refuses(acting=True) or self._overview is None:
            return
        row = self._view.find_row(self._overview)
        if row is not None and row.is_held:
            question = f"Release {self._name_person(row)}, and hand over what came meanwhile?"
            await self._ask_and_do(question, row, lambda: self._deeds.release(row.batch_key))
            return
        question = "Release whom, and hand over what came meanwhile? The phone or batch key:"
        person = await self.push_screen_wait(Entry(safe(question, "bold")))
        if person is not None:
            await self._do(lambda: self._deeds.release(person))

    @work
    async def action_pause(self) -> None:
        """Pause the chosen sink."""
        if (sink := self._choose_sink()) is None:
            return
        question = safe(f"Pause sink {sink.name} on every daemon? Its messages are kept. Why:", "bold")
        why = await self.push_screen_wait(Entry(question, "an operator paused it"))
        if why is not None:
            await self._do(lambda: self._deeds.pause(sink.name, why))

    @work
    async def action_resume(self) -> None:
        """Resume the chosen sink."""
        if (sink := self._choose_sink()) is not None:
            question = safe(f"Resume sink {sink.name}, and retry what waits now?", "bold")
            if await self.push_screen_wait(Question(question)):
                await self._do(lambda: self._deeds.resume(sink.name))

    def _choose_row(self, *, acting: bool = False) -> WaitingRow | None:
        """Return the chosen batch; where that is none, or no key may act, say so."""
        if self._refuses(acting=acting) or self._overview is None:
            return None
        row = self._view.find_row(self._overview)
        if row is None:
            self._say("choose somebody who waits with ↑ and ↓ first", is_failure=True)
        return row

    def _find_row(self, batch_key: str) -> WaitingRow | None:
        rows = self._overview.waiting.rows if self._overview is not None else ()
        return next((row for row in rows if row.batch_key == batch_key), None)

    def _choose_sink(self) -> SinkRow | None:
        if self._refuses(acting=True) or self._overview is None:
            return None
        sink = self._view.find_sink(self._overview)
        if sink is None:
            self._say("choose a sink with ↑ and ↓ first", is_failure=True)
        return sink

    def _refuses(self, *, acting: bool) -> bool:
        if acting and self._view.is_read_only:
            self._say("read only: no key acts; start rfctl top without --read-only", is_failure=True)
        return acting and self._view.is_read_only

    def _name_person(self, row: WaitingRow) -> str:
        chat = f" in {row.chat}" if row.chat else ""
        return show_phone(row.phone, is_whole=self._view.has_whole_phones) + chat

    async def _ask_and_do(self, question: str, row: WaitingRow, deed: Callable[[], Awaitable[str]]) -> None:
        if await self.push_screen_wait(Question(safe(question, "bold"))):
            await self._do(deed, self._name_person(row))

    async def _do(self, deed: Callable[[], Awaitable[str]], name: str = "") -> None:
        """Do it, and say what happened; what fails is said too, and changes nothing else."""
        try:
            words = await deed()
        except RfctlError as problem:
            step = f" ({problem.next})" if problem.next else ""
            self._say(mask_urls(f"{problem.fact}{step}"), is_failure=True)
            return
        if words:
            self._say(f"{name}{': ' if name else ''}{words}")
        await self._look()
        self._draw()

    def _say(self, text: str, *, is_failure: bool = False) -> None:
        self._notice, self._noticed_at = Notice(text, is_failure), time.monotonic()
        self._draw()
