"""A line for each batch that waits, each sink, each group of workers, and each thing that happened. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from rfctl.cli.fitting import align
from rfctl.cli.output import safe
from rfctl.cli.signs import SIGNS, STYLES
from rfctl.cli.top.cells import brief, draw_bar, format_clock, join
from rfctl.cli.top.view import View
from rfctl.observe.overview import LastKind, LastLine, Overview, SinkRow, WaitingRow, WorkerRow
from rfctl.observe.words import State
from rfctl.text import show_phone

WIDE = 100
"""From so many columns on there is room for longer bars and curves."""
_MARK = "reverse"
_WHO, _SOURCE, _NAME, _TYPE = 22, 12, 14, 8
"""The widest that a cell may be."""
_WORDS, _LEAST_WORDS = 4, 12
"""Which column says how a sink does: it takes the room that the others leave."""
_ARROWS: dict[LastKind, tuple[str, str]] = {
    "in": ("-->", ""), "out": ("<--", "bold"), "delivered": ("==>", STYLES["ok"]), "dead": ("=x>", STYLES["fail"]),
    "missing": ("=?>", STYLES["fail"]), "dropped": ("-x-", STYLES["idle"]),
}  # fmt: skip


def draw_waiting(rows: Sequence[WaitingRow], view: View, width: int) -> list[Text]:
    """Return the headings, and a line for each of those who wait; [] for nobody."""
    if not rows:
        return []
    headings = [safe(text, "dim") for text in ("", "due in", "", "who", "source", "n", "text")]
    bar, who = (10, 2 * _WHO) if width >= WIDE else (4, _WHO)
    cells = [_list_cells(row, view, bar, who) for row in rows]
    lines = align([headings, *cells], frozenset({1, 5}))
    return [
        lines[0],
        *(
            _mark(line, view, ("batch", row.batch_key), width)
            for line, row in zip(lines[1:], rows, strict=True)
        ),
    ]


def _list_cells(row: WaitingRow, view: View, bar: int, who: int) -> list[Text]:
    person = show_phone(row.phone, is_whole=view.has_whole_phones) + (f" in {row.chat}" if row.chat else "")
    is_full = row.max_size is not None and row.size >= row.max_size - 1
    size = f"{row.size}/{row.max_size}" if is_full else str(row.size)
    return [
        _draw_sign(row),
        safe(brief(abs(row.due_in_ms))),
        safe(draw_bar(0 if row.is_held else row.fraction, bar)),
        _shorten(person, who),
        _shorten(row.source or "-", _SOURCE),
        safe(size),
        safe(row.text or "-"),
    ]


def _draw_sign(row: WaitingRow) -> Text:
    """Return the state of a batch that does not simply wait."""
    if row.is_held:
        return safe(f"{SIGNS['paused']} held", STYLES["paused"])
    return safe(f"{SIGNS['warn']} late", STYLES["warn"]) if row.due_in_ms < -1000 else safe("")


def draw_out(overview: Overview, view: View, width: int) -> list[Text]:
    """Return a line for each sink, then for each group of workers."""
    cells = [*map(_list_sink_cells, overview.sinks), *map(_list_worker_cells, overview.workers)]
    if not cells:
        return []
    columns = [max(cell.cell_len for cell in column) for column in zip(*cells, strict=True)]
    words = width - 1 - 2 * (len(columns) - 1) - sum(columns) + columns[_WORDS]
    for row in cells:
        row[_WORDS].truncate(max(_LEAST_WORDS, words), overflow="ellipsis")
    choices = [("sink", sink.name) for sink in overview.sinks] + [
        ("", worker.group) for worker in overview.workers
    ]
    lines = align(cells, frozenset({3, 5}))
    return [_mark(line, view, choice, width) for line, choice in zip(lines, choices, strict=True)]


def _list_sink_cells(sink: SinkRow) -> list[Text]:
    per_min = "-" if sink.per_min is None else f"{sink.per_min}/m"
    if sink.next_try_in_ms is not None and not sink.is_paused:
        speed = f"next {brief(sink.next_try_in_ms)}"
    else:
        speed = "" if sink.p95_ms is None else f"p95 {brief(sink.p95_ms)}"
    share = "" if sink.ok_share is None or sink.state != "ok" else f"ok {sink.ok_share:.0%}"
    return [
        _sign(sink.state), _shorten(sink.name, _NAME), _shorten(sink.type, _TYPE), safe(per_min),
        safe(share or sink.words), _count_left(sink.left), safe(speed),
    ]  # fmt: skip


def _list_worker_cells(worker: WorkerRow) -> list[Text]:
    return [
        _sign(worker.state), _shorten(worker.group, _NAME), safe("workers"), safe(""), safe(worker.words),
        _count_left(worker.left), safe(""),
    ]  # fmt: skip


def _count_left(left: int | None) -> Text:
    return safe(f"{'?' if left is None else f'{left:,}'} left")


def draw_last(line: LastLine, view: View) -> Text:
    """Return when, which way, who and what."""
    arrow, style = _ARROWS[line.kind]
    who = show_phone(line.phone, is_whole=view.has_whole_phones) if line.phone else "-"
    return join(safe(f"{format_clock(line.at_ms)} ", "dim"), safe(arrow, style), safe(f" {who}  {line.line}"))


def _sign(state: State) -> Text:
    return safe(SIGNS[state], STYLES[state])


def _shorten(text: str, cells: int) -> Text:
    shown = safe(text)
    shown.truncate(max(1, cells), overflow="ellipsis")
    return shown


def _mark(line: Text, view: View, choice: tuple[str, str], width: int) -> Text:
    """Return the line as it is, or in reverse up to the edge where the cursor is on it, with a sign before it."""
    is_chosen = view.cursor == choice
    shown = join(safe("▸" if is_chosen else " "), line)
    if is_chosen:
        shown.truncate(width, overflow="ellipsis", pad=True)
        shown.stylize(_MARK)
    return shown
