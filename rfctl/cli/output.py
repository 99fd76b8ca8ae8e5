"""Prints the answers of commands. stdout is data, stderr is for notes; strangers' text is never markup.

On a terminal: tables with colour. Elsewhere: no colour, no box, nothing cut.
rich is imported when something is drawn: JSON needs none of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
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
_NARROW = 20
"""No text is wrapped narrower than this."""
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
    def open_array(
        self, name: str, more: Callable[[], Mapping[str, Any]] = dict
    ) -> Iterator[Callable[[Any], None]]:
        """Print one JSON object with one array, value by value: they need not be in memory together.

        `more` gives the fields behind the array. Without a name the array stands alone.
        What was printed before a failure is whole JSON; a failure before the first value leaves stdout empty.
        """
        array = _Array(name, pretty=self._pretty)
        try:
            yield array.add
        except BaseException:
            array.end_after_failure(more)
            raise
        array.end(more())

    @contextmanager
    def open_rows(self) -> Iterator[Callable[[Any], None]]:
        """Print values as `rows` does, one by one: they need not be in memory together."""
        if self._as_lines:
            yield self.json
            return
        with self.open_array("") as add:
            yield add

    def table(
        self,
        headings: Sequence[str],
        rows: Iterable[Sequence[str]],
        *,
        right: frozenset[int] = frozenset(),
        below: int = 0,
    ) -> None:
        """Print a table for a person; `right` and `below` as in `build_table`."""
        from rfctl.cli.table import build_table

        self.draw(build_table(headings, rows, right=right, below=below))

    def facts(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Print label and value lines."""
        self.draw(build_facts(pairs))

    def text(self, line: str, style: str = "") -> None:
        """Print a line for a person. A terminal gets it folded between words."""
        whole = safe(line, style)
        for part in _fold(open_console(), whole) if sys.stdout.isatty() else [whole]:
            self.draw(part)

    def draw(self, renderable: Any) -> None:
        """Print what rich can draw."""
        open_console().print(renderable)
        sys.stdout.flush()

    def note(self, line: str) -> None:
        """Print a line on stderr."""
        print_note(line)


def open_console(*, stderr: bool = False) -> Console:
    """Return a console that takes text as text."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _WIDE
    return Console(file=stream, markup=False, highlight=False, emoji=False, width=width, soft_wrap=True)


def _print_json(value: Any, *, pretty: bool) -> None:
    raw = _encode(value)
    _write_json((msgspec.json.format(raw, indent=2) if pretty else raw).decode() + "\n")


def _write_json(text: str) -> None:
    """Write JSON, or a part of it; on a terminal nothing in it acts."""
    sys.stdout.write(visible_in_json(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()


class _Array:
    """One JSON object with one array, or without a name an array alone, whose values come one by one."""

    def __init__(self, name: str, *, pretty: bool) -> None:
        self._pretty = pretty
        self._has_name = bool(name)
        head = ("{\n  " if pretty else "{") + f'"{name}":' + (" " if pretty else "")
        self._head = (head if name else "") + "["
        self._line = "\n" + "  " * (2 if name else 1)
        self._is_begun = False

    def add(self, value: Any) -> None:
        raw = _encode(value)
        text = msgspec.json.format(raw, indent=2).decode() if self._pretty else raw.decode()
        comma = "," if self._is_begun else ""
        self._write(comma + (self._line if self._pretty else "") + text.replace("\n", self._line))

    def end(self, more: Mapping[str, Any]) -> None:
        fields = "".join(map(self._format_field, more.items()))
        close = self._line[:-2] + "]" if self._pretty else "]"
        end = ("\n}\n" if self._pretty else "}\n") if self._has_name else "\n"
        self._write(close + fields + end)

    def end_after_failure(self, more: Callable[[], Mapping[str, Any]]) -> None:
        if self._is_begun:
            self.end(more())

    def _format_field(self, field: tuple[str, Any]) -> str:
        name, value = (_encode(part) for part in field)
        if not self._pretty:
            return f",{name.decode()}:{value.decode()}"
        text = msgspec.json.format(value, indent=2).decode().replace("\n", "\n  ")
        return f",\n  {name.decode()}: {text}"

    def _write(self, text: str) -> None:
        _write_json(text if self._is_begun else self._head + text)
        self._is_begun = True


def safe(text: str, style: str = "") -> Text:
    """Return strangers' text for a terminal."""
    from rich.text import Text

    return Text(visible(text), style=style)


def build_facts(pairs: Iterable[tuple[str, str]]) -> Any:
    """Return label and value lines; nothing stands behind a value but on a terminal."""
    if not sys.stdout.isatty():
        return _align_facts([(safe(label), safe(value)) for label, value in pairs])
    return _tabulate_facts(pairs)


def _align_facts(pairs: Sequence[tuple[Text, Text]]) -> Any:
    from rich.console import Group

    from rfctl.cli.fitting import align

    return Group(*(align(pairs, frozenset()) if pairs else ()))


def _tabulate_facts(pairs: Iterable[tuple[str, str]]) -> Table:
    from rich.table import Table

    drawing = Table.grid(padding=(0, 2))
    drawing.add_column(style="dim", no_wrap=True)
    drawing.add_column(overflow="fold")
    for label, value in pairs:
        drawing.add_row(label, safe(value))
    return drawing


def format_time_of_day(ms: int) -> str:
    """Return Unix ms as local time of day with ms; "-" for 0, which is no time: another program wrote the message."""
    if not ms:
        return "-"
    return datetime.fromtimestamp(ms / 1000).astimezone().strftime("%H:%M:%S.") + f"{ms % 1000:03d}"


def merged_as_json(merged: Merged) -> dict[str, Any]:
    """Return a merged message for `-o json`: the promise is to add fields, never to rename one."""
    return {
        "id": merged.id,
        "delivery_id": merged.delivery_id or None,
        "phone": merged.phone,
        "company": merged.company,
        "text": merged.text,
        "count": merged.count,
        "reason": merged.reason,
        "first_ms": merged.first_ms,
        "last_ms": merged.last_ms,
        "handed_ms": merged.handed_ms,
        "waited_ms": merged.waited_ms,
        "late_ms": merged.late_ms,
        "oldest_sent_ms": merged.oldest_sent_ms,
        "channel": merged.channel,
        "platform": merged.platform,
        "account": merged.account,
        "chat": merged.chat,
        "simulated": merged.simulated,
        "discarded": merged.discarded,
        "traceparents": list(merged.traceparents),
        "messages": [msgspec.Raw(raw) for raw in merged.raw],
    }


def print_note(line: str) -> None:
    """Print a line on stderr that no error makes."""
    from rich.text import Text

    _print_beside(Text("rfctl: "), line, has_commands=True)


def print_error(problem: RfctlError) -> None:
    """Print an error to stderr: the fact in one line, then what helps."""
    from rich.text import Text

    _print_beside(Text("rfctl: ", "bold red"), mask_urls(problem.fact))
    if isinstance(problem, SettingsError):
        for line in problem.problems:
            _print_beside(Text("  "), mask_urls(line))
    for label, line in problem.details():
        _print_beside(Text(f"  {label}: ", "dim"), mask_urls(line), has_commands=label == "next")


def _print_beside(label: Text, text: str, *, has_commands: bool = False) -> None:
    """Print a text on stderr, behind its label. A terminal gets it folded: see `folding`."""
    from rich.text import Text

    out = open_console(stderr=True)
    lines = (
        _fold(out, safe(text), label.cell_len, has_commands=has_commands)
        if sys.stderr.isatty()
        else [safe(text)]
    )
    for place, part in enumerate(lines):
        out.print(Text.assemble(label if place == 0 else " " * label.cell_len, part))


def _fold(out: Console, line: Text, indent: int = 0, *, has_commands: bool = False) -> Iterable[Text]:
    """Return the lines of a text for a terminal; terminals do not agree how wide an emoji with a skin tone is."""
    from rfctl.cli.fitting import count_tones
    from rfctl.cli.folding import fold

    room = max(_NARROW, out.width - indent - 2 * count_tones(line.plain))
    return fold(line, room, 0 if has_commands else None)
