"""The screens of `stats`, by question: is it working, what needs you, who waits, out to whom, and the totals.

`draw` leaves nothing out. `draw_to_fit` is for `--watch`: it fits the terminal, and says how much it leaves out.
`draw_in_brief` stays in sight on a terminal, but leaves out nothing that needs you.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rfctl.cli.fitting import Item, Part, align, fit, measure_least
from rfctl.cli.folding import fold
from rfctl.cli.output import build_facts, open_console, safe
from rfctl.cli.signs import SIGNS, STYLES
from rfctl.cli.stats_words import (
    Facts,
    Rows,
    list_batches,
    list_daemons,
    list_server_facts,
    list_sinks,
    list_totals,
)
from rfctl.cli.table import build_table
from rfctl.observe import Finding, Rates, Snapshot, findings, measure_rates
from rfctl.observe.words import State, describe_daemons, describe_rates, describe_waiting, judge

if TYPE_CHECKING:
    from rich.text import Text

_SHARE = 3
"""Findings in full take at most one part in so many of a screen that is watched; more of them have a line each."""
_LABEL = 7
_SIGN = 2
_STATE = 28
"""So much of a sink's state should be seen."""
_LESS_NEEDED = ("type", "failed", "delivered")
"""Columns of the sinks that are left out where a terminal has no room for their states: this one first."""


def _measure(snapshot: Snapshot) -> Rates | None:
    return measure_rates(snapshot.daemons, snapshot.pending.totals, snapshot.pending.now_ms)


def draw(snapshot: Snapshot) -> Any:
    """Return a snapshot for a terminal, or for a pipe: there a finding is one line."""
    from rich.console import Group

    pending, problems, rates = snapshot.pending, findings(snapshot), _measure(snapshot)
    parts: list[Any] = [_headline(snapshot, problems, rates), build_facts(list_server_facts(snapshot))]
    if snapshot.daemons:
        parts += ["", _draw_rows(list_daemons(snapshot.daemons, pending.now_ms))]
    if problems:
        parts += ["", _title("needs you", str(len(problems))), *map(_draw_finding, problems)]
    parts += ["", _title("waiting", describe_waiting(snapshot))]
    if pending.next_due:
        parts.append(_draw_rows(list_batches(pending.next_due, pending.now_ms)))
    if pending.next_due and pending.batches > len(pending.next_due):
        parts.append(f"… {pending.batches - len(pending.next_due)} more (--limit)")
    rows, states = list_sinks(snapshot, rates)
    if states:
        parts += ["", _title("out to"), _draw_rows(rows, states)]
    if totals := list_totals(snapshot):
        parts += ["", _title("totals"), build_facts(totals)]
    return Group(*parts)


def _headline(snapshot: Snapshot, problems: Sequence[Finding], rates: Rates | None) -> Text:
    state, word = judge(problems)
    line = safe("").append_text(safe(f"{SIGNS[state]} {word}", STYLES[state]))
    for text in (describe_daemons(snapshot.daemons), describe_rates(rates)):
        line.append_text(safe("  " + text if text else ""))
    return line


def _title(name: str, text: str = "") -> Text:
    return safe("").append_text(safe(name.upper(), "bold")).append_text(safe("  " + text if text else ""))


def _draw_rows(rows: Rows, states: Sequence[State] = ()) -> Any:
    """Return a table; where there are states, its last column begins with their signs."""
    if not states:
        return build_table(rows.headings, rows.rows, right=rows.right)
    signed: list[list[str | Text]] = [
        [*row[:-1], _draw_state(state, safe(row[-1]))] for row, state in zip(rows.rows, states, strict=True)
    ]
    return build_table(rows.headings, signed, right=rows.right)


def _label(problem: Finding) -> tuple[State, str]:
    return ("fail", "FAIL") if problem.severity == "error" else ("warn", "warn")


def _draw_finding(problem: Finding) -> Any:
    from rich.console import Group

    if not sys.stdout.isatty():
        state, word = _label(problem)
        return safe(f"{SIGNS[state]} {word} {problem.line()}")
    lines = _fold(_list_texts(problem), open_console().width)
    return Group(*_beside_label(problem, lines))


def _list_texts(problem: Finding, *, has_code: bool = True) -> list[Text]:
    """Return the fact, with its code to look up, who set it if somebody did, and the cure."""
    code = f" [{problem.code}]" if has_code else ""
    fact = safe("").append_text(safe(problem.fact)).append_text(safe(code, "dim"))
    set_by = [safe(f"set by {problem.set_by}", "dim")] if problem.set_by else []
    return [fact, *set_by, safe(problem.fix, "dim")]


def _beside_label(problem: Finding, lines: Sequence[Text]) -> Item:
    first, *rest = lines
    return [_draw_label(problem).append_text(first), *(safe(" " * _LABEL).append_text(line) for line in rest)]


def _fold(texts: Sequence[Text], width: int) -> list[Text]:
    """Return the lines of these texts, of which the last is a cure, beside a label on a screen of this width."""
    *facts, cure = texts
    room = max(_LABEL, width - _LABEL)
    return [*(line for fact in facts for line in fold(fact, room)), *fold(cure, room, 0)]


def draw_in_brief(snapshot: Snapshot, width: int, height: int) -> Any:
    """Return a snapshot that leaves the first line in sight if it can; what it leaves out, its last line says."""
    from rich.console import Group

    parts = _list_parts(snapshot, width, waiting=1)
    whole = sum(part.height(len(part.items)) + 1 for part in parts)
    if whole < height:
        return Group(*fit(parts, width, whole))
    footer = safe("all of it: rfctl stats --limit 20", "dim")
    room = height - 2
    parts = _drop_totals(parts)
    if measure_least(parts) > room:
        parts = _drop_totals(_list_parts(snapshot, width, waiting=0, is_tight=True))
    return Group(*fit(parts, width, max(room, measure_least(parts))), footer)


def _drop_totals(parts: list[Part]) -> list[Part]:
    return parts[:-1] if parts[-1].least == 0 and parts[-1].items else parts


def draw_to_fit(snapshot: Snapshot, width: int, height: int, above: Sequence[Text] = ()) -> Any:
    """Return a snapshot as large as the terminal; the lines `above` stand over it."""
    from rich.console import Group

    head, *parts = _list_parts(snapshot, width, most=height // _SHARE)
    return Group(*fit([Part([*above, *head.head]), *parts], width, height))


def _list_parts(
    snapshot: Snapshot, width: int, most: int | None = None, *, waiting: int = 3, is_tight: bool = False
) -> list[Part]:
    """Return the parts of a screen. The findings take at most `most` lines, if that can be.

    So many of those who are `waiting` are shown before anything else grows. If it `is_tight`, a cure goes on behind its
    fact, and codes are left out.
    """
    problems, rates, pending = findings(snapshot), _measure(snapshot), snapshot.pending
    facts = [safe(f"{label}  {text}", "dim") for label, text in list_server_facts(snapshot)[:1]]
    parts = [Part([_headline(snapshot, problems, rates), *facts])]
    if problems:
        parts.append(_list_findings(problems, width, most, is_tight=is_tight))
    batches = list_batches(pending.next_due, pending.now_ms)
    beyond = pending.batches - len(pending.next_due)
    parts.append(
        _tabulate(_title("waiting", describe_waiting(snapshot)), batches, least=waiting, beyond=beyond)
    )
    rows, states = list_sinks(snapshot, rates)
    if states:
        rows = _narrow(replace(rows, headings=("OUT TO", *rows.headings[1:])), width)
        parts.append(_tabulate(None, rows, states, least=4))
    if totals := list_totals(snapshot):
        parts.append(Part([_title("totals")], [[line] for line in _align_facts(totals)]))
    return parts


def _narrow(rows: Rows, width: int) -> Rows:
    """Leave columns of the sinks out until their states can be read."""
    for heading in _LESS_NEEDED:
        if width - rows.measure_before_last() - _SIGN >= min(_STATE, rows.measure_last()):
            break
        rows = rows.without(heading)
    return rows


def _list_findings(problems: Sequence[Finding], width: int, most: int | None, *, is_tight: bool) -> Part:
    items = [_wrap_finding(problem, width, is_tight=is_tight) for problem in problems]
    title = _title("needs you", str(len(problems)))
    if most is None:
        return Part([title], items, least=len(items))
    if sum(map(len, items)) > most:
        items = [[_shorten_finding(problem)] for problem in problems]
    return Part([title], items, least=3)


def _wrap_finding(problem: Finding, width: int, *, is_tight: bool) -> Item:
    """Return a finding with its cure, on as many lines as that takes: here a line that is too wide would be cut."""
    console, room = open_console(), max(_LABEL, width - _LABEL)
    texts = _list_texts(problem, has_code=not is_tight)
    lines = fold(_join(texts), room) if is_tight else _fold(texts, width)
    return _beside_label(
        problem, [part for line in lines for part in line.wrap(console, room, overflow="fold")]
    )


def _join(texts: Sequence[Text]) -> Text:
    first, *rest = texts
    line = safe("").append_text(first)
    for text in rest:
        line.append(" · ", "dim").append_text(text)
    return line


def _shorten_finding(problem: Finding) -> Text:
    return _draw_label(problem).append_text(safe(problem.line()))


def _draw_label(problem: Finding) -> Text:
    state, word = _label(problem)
    return safe("").append_text(safe(f"{SIGNS[state]} {word}", STYLES[state])).append(" ")


def _tabulate(
    title: Text | None, rows: Rows, states: Sequence[State] = (), *, least: int, beyond: int = 0
) -> Part:
    head = [] if title is None else [title]
    if not rows.rows:
        return Part(head)
    cells = [[safe(cell) for cell in row] for row in rows.rows]
    for row, state in zip(cells, states, strict=False):
        row[-1] = _draw_state(state, row[-1])
    heading, *lines = align([[safe(text, "bold") for text in rows.headings], *cells], rows.right)
    return Part(head, [[line] for line in lines], least=least, beyond=beyond, heading=[heading])


def _draw_state(state: State, words: Text) -> Text:
    return safe("").append_text(safe(f"{SIGNS[state]} ", STYLES[state])).append_text(words)


def _align_facts(facts: Facts) -> list[Text]:
    return align([[safe(label, "dim"), safe(text)] for label, text in facts], frozenset())
