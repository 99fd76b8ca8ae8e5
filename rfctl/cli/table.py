"""Tables for a person. On a terminal they fit its width and break no id; elsewhere nothing is cut and nothing is drawn."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rfctl.cli.fitting import align, count_tones
from rfctl.cli.output import Output, open_console, safe

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_FOLDED = 20
"""The least width of a table's last column when it is folded."""
_INDENT = 4
_NOTHING = ("", "-")
_PART = 100
"""So many rows of a long table are drawn together: their widths must be known before."""

Row = Sequence["Text"]


def build_table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    *,
    right: frozenset[int] = frozenset(),
    below: int = 0,
) -> Any:
    """Return a table; every cell of plain text is made safe, and `right` are the columns of numbers.

    On a terminal the last column is folded if the others fit. Else each row has the columns that fit on its line, and
    each of the others on a line below, behind its heading. The last `below` columns always stand there.
    """
    cells = [[safe(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    if not sys.stdout.isatty():
        return _build_lines(headings, cells, right)
    widths, room = _measure(headings, cells), open_console().width
    if below:
        return _build_records(headings, cells, right, _count_fitting(widths[:-below], room))
    gap = 2 if sum(widths) + 2 * len(widths) <= room else 1
    left_for_last = room - sum(widths[:-1]) - gap * len(widths)
    if left_for_last >= min(widths[-1], max(_FOLDED, _longest_word(cells))):
        return _build_grid(headings, cells, right, gap=gap, folds_last=True)
    return _build_records(headings, cells, right, _count_fitting(widths, room))


@contextmanager
def open_table(
    out: Output, headings: Sequence[str], *, right: frozenset[int] = frozenset(), below: int = 0
) -> Iterator[Callable[[Sequence[str]], None]]:
    """Print a table row by row, in parts with a heading each. What was added before a failure is printed too."""
    rows: list[Sequence[str]] = []

    def print_part() -> None:
        if rows:
            out.draw(build_table(headings, rows, right=right, below=below))
            rows.clear()

    def add(row: Sequence[str]) -> None:
        rows.append(row)
        if len(rows) == _PART:
            print_part()

    try:
        yield add
    finally:
        print_part()


def _measure(headings: Sequence[str], rows: Sequence[Row]) -> list[int]:
    columns = zip(*([safe(heading) for heading in headings], *rows), strict=True)
    return [max(map(_measure_cell, column)) for column in columns]


def _measure_cell(cell: Text) -> int:
    """Return how many cells of a terminal it takes at most."""
    return cell.cell_len + 2 * count_tones(cell.plain)


def _longest_word(rows: Sequence[Row]) -> int:
    """Return the length of the longest word in the last column: folding would break it."""
    return max((len(word) for row in rows for word in row[-1].plain.split()), default=0)


def _count_fitting(widths: Sequence[int], room: int) -> int:
    """Return how many columns from the left fit on a line, two spaces between them; at least one."""
    count = 1
    while count < len(widths) and sum(widths[: count + 1]) + 2 * count <= room:
        count += 1
    return count


def _build_lines(headings: Sequence[str], rows: Sequence[Row], right: frozenset[int]) -> Any:
    """Return a line for each row, as wide as it is: nothing stands behind its last cell."""
    from rich.console import Group

    return Group(*align([[safe(heading) for heading in headings], *rows], right))


def _build_grid(
    headings: Sequence[str], rows: Sequence[Row], right: frozenset[int], *, gap: int, folds_last: bool
) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    drawing = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        padding=(0, gap - 1, 0, 0),
        header_style="bold",
    )
    for place, heading in enumerate(headings):
        drawing.add_column(
            heading,
            justify="right" if place in right else "left",
            overflow="fold",
            no_wrap=folds_last and place < len(headings) - 1,
        )
    for row in rows:
        drawing.add_row(*row)
    return drawing


def _build_records(headings: Sequence[str], rows: Sequence[Row], right: frozenset[int], count: int) -> Any:
    """Return each row as a line of its first `count` cells, and below it a line for each further cell that says something."""
    from rich.console import Group

    widths = _measure(headings, rows)[:count]
    parts: list[Text] = [_build_line([safe(heading, "bold") for heading in headings[:count]], widths, right)]
    for row in rows:
        parts.append(_build_line(row[:count], widths, right))
        parts += _wrap_below(headings[count:], row[count:])
    return Group(*parts)


def _wrap_below(labels: Sequence[str], cells: Row) -> Iterator[Text]:
    """Yield the lines of the cells below a row. They are not filled up: terminals do not agree how wide an emoji is."""
    console = open_console()
    label_width = max(map(len, labels), default=0)
    indent = _INDENT + label_width + 2
    for label, cell in zip(labels, cells, strict=True):
        if cell.plain in _NOTHING:
            continue
        room = max(1, console.width - indent - 2 * count_tones(cell.plain))
        for place, line in enumerate(cell.wrap(console, room, overflow="fold")):
            shown = label if place == 0 else ""
            yield (
                safe("")
                .append_text(safe(f"{' ' * _INDENT}{shown:<{label_width}}  ", "dim"))
                .append_text(line)
            )


def _build_line(cells: Row, widths: Sequence[int], right: frozenset[int]) -> Text:
    from rich.text import Text

    line = Text()
    for place, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        gap = " " * max(0, width - _measure_cell(cell))
        line += Text.assemble(gap if place in right else "", cell, "" if place in right else gap)
        line += Text("" if place == len(widths) - 1 else "  ")
    line.rstrip()
    return line
