"""Prints the answers of commands. stdout is data, stderr is for notes; strangers' text is never markup.

On a terminal: tables with colour. Elsewhere: no colour, no box, nothing cut.
rich is imported when something is drawn: JSON needs none of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from rfctl.errors import RfctlError, SettingsError
from rfctl.model.stored import Merged
from rfctl.text import mask_urls, visible, visible_in_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_WIDE = 10_000
_FOLDED = 20
"""The least width of a table's last column when it is folded."""
_encode = msgspec.json.Encoder().encode


class Output:
    """Prints the answer of one command; `pretty` indents JSON, `as_lines` prints rows as one value a line."""

    def __init__(self, *, pretty: bool = True, as_lines: bool = False) -> None:
        self._pretty = pretty
        self._as_lines = as_lines

    def json(self, value: Any) -> None:
        """Print one JSON value."""
        _print_json(value, pretty=self._pretty)

    def json_line(self, value: Any) -> None:
        """Print one JSON value of many on one line, so that a reader sees where each ends."""
        _print_json(value, pretty=False)

    def rows(self, rows: Iterable[Any]) -> None:
        """Print values as one JSON array, with -o jsonl as one value a line."""
        if not self._as_lines:
            self.json(list(rows))
            return
        for row in rows:
            self.json(row)

    @contextmanager
    def open_array(self, name: str) -> Iterator[Callable[[Any], None]]:
        """Print one JSON object with one array, value by value: they need not be in memory together.

        What was printed before a failure is whole JSON; a failure before the first value leaves stdout empty.
        """
        array = _Array(name, pretty=self._pretty)
        try:
            yield array.add
        except BaseException:
            array.end_after_failure()
            raise
        array.end()

    def table(
        self,
        headings: Sequence[str],
        rows: Iterable[Sequence[str]],
        *,
        right: frozenset[int] = frozenset(),
    ) -> None:
        """Print a table for a person; `right` are the columns of numbers."""
        self.draw(build_table(headings, rows, right=right))

    def facts(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Print label and value lines."""
        self.draw(build_facts(pairs))

    def text(self, line: str, style: str = "") -> None:
        """Print a line for a person."""
        self.draw(safe(line, style))

    def draw(self, renderable: Any) -> None:
        """Print what rich can draw."""
        open_console().print(renderable)
        sys.stdout.flush()

    def note(self, line: str) -> None:
        """Print a line on stderr."""
        open_console(stderr=True).print(safe(f"rfctl: {line}"))


def open_console(*, stderr: bool = False) -> Console:
    """Return a console that takes text as text."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _WIDE
    return Console(file=stream, markup=False, highlight=False, emoji=False, width=width, soft_wrap=True)


def _print_json(value: Any, *, pretty: bool) -> None:
    raw = _encode(value)
    text = (msgspec.json.format(raw, indent=2) if pretty else raw).decode()
    sys.stdout.write((visible_in_json(text) if sys.stdout.isatty() else text) + "\n")
    sys.stdout.flush()


class _Array:
    """One JSON object with one array, of which only the head and the end are known beforehand."""

    def __init__(self, name: str, *, pretty: bool) -> None:
        self._pretty = pretty
        self._head = ("{\n  " if pretty else "{") + f'"{name}":' + (" [" if pretty else "[")
        self._is_begun = False

    def add(self, value: Any) -> None:
        raw = _encode(value)
        text = msgspec.json.format(raw, indent=2).decode() if self._pretty else raw.decode()
        comma = "," if self._is_begun else ""
        self._write(comma + ("\n    " if self._pretty else "") + text.replace("\n", "\n    "))

    def end(self) -> None:
        self._write("\n  ]\n}\n" if self._pretty else "]}\n")

    def end_after_failure(self) -> None:
        if self._is_begun:
            self.end()

    def _write(self, text: str) -> None:
        sys.stdout.write(text if self._is_begun else self._head + text)
        sys.stdout.flush()
        self._is_begun = True


def safe(text: str, style: str = "") -> Text:
    """Return strangers' text for a terminal."""
    from rich.text import Text

    return Text(visible(text), style=style)


def build_table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: frozenset[int] = frozenset(),
) -> Table:
    """Return a table; every cell is made safe. On a terminal only the last column is folded, if the others fit."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    cells = [[safe(cell) for cell in row] for row in rows]
    terminal = sys.stdout.isatty()
    gap, folds_last = _fit(headings, cells) if terminal else (2, False)
    drawing = Table(
        box=SIMPLE_HEAD if terminal else None,
        pad_edge=False,
        show_edge=False,
        padding=(0, gap - 1, 0, 0) if terminal else (0, 1),
        header_style="bold" if terminal else "",
    )
    for place, heading in enumerate(headings):
        drawing.add_column(
            heading,
            justify="right" if place in right else "left",
            overflow="fold",
            no_wrap=folds_last and place < len(headings) - 1,
        )
    for row in cells:
        drawing.add_row(*row)
    return drawing


def _fit(headings: Sequence[str], rows: Sequence[Sequence[Text]]) -> tuple[int, bool]:
    """Return how many spaces part the columns on this terminal, and whether all but the last fit as they are."""
    columns = zip(*([safe(heading) for heading in headings], *rows), strict=True)
    widths = [max(cell.cell_len for cell in column) for column in columns]
    room = open_console().width
    gap = 2 if sum(widths) + 2 * len(widths) <= room else 1
    return gap, sum(widths[:-1]) + gap * len(widths) + min(widths[-1], _FOLDED) <= room


def build_facts(pairs: Iterable[tuple[str, str]]) -> Table:
    """Return label and value lines."""
    from rich.table import Table

    drawing = Table.grid(padding=(0, 2))
    drawing.add_column(style="dim" if sys.stdout.isatty() else "", no_wrap=True)
    drawing.add_column(overflow="fold")
    for label, value in pairs:
        drawing.add_row(label, safe(value))
    return drawing


def format_rfc3339(ms: int | None) -> str | None:
    """Return Unix ms as RFC 3339 UTC with ms."""
    if ms is None:
        return None
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


def format_time_of_day(ms: int) -> str:
    """Return Unix ms as local time of day with ms."""
    return datetime.fromtimestamp(ms / 1000).astimezone().strftime("%H:%M:%S.") + f"{ms % 1000:03d}"


def merged_as_json(merged: Merged) -> dict[str, Any]:
    """Return a merged message for `-o json`: the promise is to add fields, never to rename one."""
    return {
        "id": merged.id,
        "phone": merged.phone,
        "company": merged.company or None,
        "text": merged.text,
        "count": merged.count,
        "reason": merged.reason,
        "first_ms": merged.first_ms,
        "last_ms": merged.last_ms,
        "handed_ms": merged.handed_ms,
        "waited_ms": merged.waited_ms,
        "late_ms": merged.late_ms,
        "channel": merged.channel,
        "platform": merged.platform,
        "account": merged.account,
        "chat": merged.chat,
        "simulated": merged.simulated,
        "discarded": merged.discarded,
        "messages": [msgspec.Raw(raw) for raw in merged.raw],
    }


def print_error(problem: RfctlError) -> None:
    """Print an error to stderr: the fact in one line, then what helps."""
    from rich.text import Text

    out = open_console(stderr=True)
    out.print(Text("rfctl: ", style="bold red") + safe(mask_urls(problem.fact)))
    if isinstance(problem, SettingsError):
        for line in problem.problems:
            out.print(Text("  ") + safe(mask_urls(line)))
    for label, line in problem.details():
        out.print(Text(f"  {label}: ", style="dim") + safe(mask_urls(line)))
