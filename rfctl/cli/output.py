"""What the screen shows. stdout is data, stderr is talk; what strangers typed is never markup.

On a terminal: tables with colour. Elsewhere: no colour, no box, nothing cut.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rfctl.errors import RfctlError, SettingsError
from rfctl.text import visible

_WIDE = 10_000
_encode = msgspec.json.Encoder().encode


def console(*, stderr: bool = False) -> Console:
    """Return a console that takes text as text."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _WIDE
    return Console(file=stream, markup=False, highlight=False, emoji=False, width=width, soft_wrap=True)


def emit(value: Any, *, pretty: bool = True) -> None:
    """Print JSON to stdout."""
    raw = _encode(value)
    sys.stdout.write((msgspec.json.format(raw, indent=2) if pretty else raw).decode() + "\n")
    sys.stdout.flush()


@contextmanager
def growing(name: str, *, pretty: bool = True) -> Iterator[Callable[[Any], None]]:
    """Print one JSON object with one array, value by value: they need not be in memory together.

    What was printed before a failure is whole JSON; a failure before the first value leaves stdout empty.
    """
    begun = False

    def write(text: str) -> None:
        nonlocal begun
        head = ("{\n  " if pretty else "{") + f'"{name}":' + (" [" if pretty else "[")
        sys.stdout.write(text if begun else head + text)
        sys.stdout.flush()
        begun = True

    def add(value: Any) -> None:
        raw = _encode(value)
        text = msgspec.json.format(raw, indent=2).decode() if pretty else raw.decode()
        write(("," if begun else "") + ("\n    " if pretty else "") + text.replace("\n", "\n    "))

    end = "\n  ]\n}\n" if pretty else "]}\n"
    try:
        yield add
    except BaseException:
        if begun:
            write(end)
        raise
    write(end)


def safe(text: str, style: str = "") -> Text:
    """Return strangers' text for a terminal."""
    return Text(visible(text), style=style)


def table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], *, right: frozenset[int] = frozenset()
) -> Table:
    """Return a table; every cell is made safe."""
    terminal = sys.stdout.isatty()
    made = Table(
        box=SIMPLE_HEAD if terminal else None, pad_edge=False, header_style="bold" if terminal else ""
    )
    for place, heading in enumerate(headings):
        made.add_column(heading, justify="right" if place in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*(safe(cell) for cell in row))
    return made


def facts(pairs: Iterable[tuple[str, str]]) -> Table:
    """Return label and value lines."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim" if sys.stdout.isatty() else "", no_wrap=True)
    made.add_column(overflow="fold")
    for label, value in pairs:
        made.add_row(label, safe(value))
    return made


def rfc3339(ms: int | None) -> str | None:
    """Return Unix ms as RFC 3339 UTC with ms."""
    if ms is None:
        return None
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


def clock(ms: int) -> str:
    """Return Unix ms as local time of day with ms."""
    return datetime.fromtimestamp(ms / 1000).astimezone().strftime("%H:%M:%S.") + f"{ms % 1000:03d}"


def error(problem: RfctlError) -> None:
    """Print an error to stderr: the fact in one line, then what helps."""
    out = console(stderr=True)
    out.print(Text("rfctl: ", style="bold red") + safe(problem.fact))
    if isinstance(problem, SettingsError):
        for line in problem.problems:
            out.print(Text("  ") + safe(line))
    for label, line in problem.details():
        out.print(Text(f"  {label}: ", style="dim") + safe(line))
