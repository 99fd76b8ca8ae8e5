"""The lines of the screen: an overview as an operator looks at it, in just so many lines. Pure.

Is it working, what needs you, who waits, out to whom, what happened last: in this order, each as large as there is room for.
Colour is for state alone, and a sign or a word stands beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from rfctl.cli.fitting import cut
from rfctl.cli.outage import Outage
from rfctl.cli.output import safe
from rfctl.cli.signs import SIGNS, STYLES
from rfctl.cli.top.cells import brief, draw_curve, format_clock, join
from rfctl.cli.top.layout import Wish, scroll, share
from rfctl.cli.top.rows import draw_last, draw_out, draw_waiting
from rfctl.cli.top.view import View
from rfctl.observe.overview import FindingRow, Overview
from rfctl.observe.words import State
from rfctl.text import counted

_KEYS = (
    "q quit  / find  ⏎ person  f flush  x discard  h hold  l release  p pause  r resume  w warnings  s sort  n numbers  ? help",
    "q quit  / find  ⏎ who  f flush  x discard  p pause  r resume  w warnings  ? help",
    "q quit  / find  f flush  x discard  p pause  r resume  w warnings  ? help",
    "q quit  / find  f flush  x discard  w warnings  ? help",
    "q quit  ? help",
)
_KEYS_READ_ONLY = (
    "q quit  / find  ⏎ person  w warnings  s sort  n numbers  ? help  (read only)",
    "q quit  ? help  (read only)",
)
"""The keys: the first list that there is room for."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What the last key came to. It takes the place of the list of keys."""

    text: str
    is_failure: bool = False


def draw_board(
    overview: Overview,
    view: View,
    width: int,
    height: int,
    clock_ms: float,
    outage: Outage | None = None,
    notice: Notice | None = None,
) -> list[Text]:
    """Return `height` lines of at most `width` cells. `clock_ms` is this host's time (Unix ms)."""
    head = [
        *_draw_outage(outage),
        _draw_first(overview, width, clock_ms, is_old=outage is not None),
        _draw_flow(overview, width),
    ]
    foot = _draw_foot(notice, view, width)
    body = _draw_body(overview, view, width, max(0, height - len(head) - 1))
    lines = [*head, *body][: max(0, height - 1)]
    lines += [safe("")] * (height - 1 - len(lines)) + [foot]
    for line in lines:
        cut(line, width)
    return lines[-height:] if height else []


def _draw_outage(outage: Outage | None) -> list[Text]:
    if outage is None:
        return []
    return [
        safe(f"{SIGNS['fail']} {outage.head}, trying again: what follows is {outage.age} old", STYLES["fail"])
    ]


def _draw_first(overview: Overview, width: int, clock_ms: float, *, is_old: bool) -> Text:
    """Say whether it is working, who does it, on which Redis, and what time it is. What is old has no colour, nor a sign."""
    state = overview.state
    word = (
        safe(f"was {overview.word}", "dim")
        if is_old
        else safe(f"{SIGNS[state]} {overview.word}", STYLES[state])
    )
    line = join(safe("rfctl top  ", "bold"), word)
    clock, redis = format_clock(clock_ms), overview.redis_line
    address, daemons = redis.partition(" · ")[0], overview.daemons_line.partition(" (")[0]
    rooms = (
        (overview.daemons_line, f"redis {redis}  {clock}"), (overview.daemons_line, f"redis {address}  {clock}"),
        (daemons, f"redis {address}  {clock}"), (daemons, f"{address}  {clock}"), (daemons, clock), (daemons, ""),
    )  # fmt: skip
    for left, right in rooms:
        gap = width - line.cell_len - 2 - len(left) - len(right)
        if gap >= 2:
            break
    return join(line, safe(f"  {left}"), safe(" " * gap + right, "dim"))


def _draw_flow(overview: Overview, width: int) -> Text:
    """Return the numbers on one line; the curves take the room that is left, up to a column for each minute."""
    for columns in (15, 10, 6, 4, 0):
        line = safe("  ").join([part for part in _list_flow(overview, columns) if part.plain])
        if line.cell_len <= width:
            break
    return line


def _list_flow(overview: Overview, columns: int) -> list[Text]:
    flow = overview.flow
    return [
        _draw_rate("in", flow.in_per_min, flow.ins, columns),
        _draw_rate("out", flow.out_per_min, flow.outs, columns),
        safe("" if flow.ratio is None else f"{flow.ratio:.1f}→1"),
        safe(f"wait p95 {brief(flow.wait_p95_ms)}"),
        safe(f"late p99 {brief(flow.late_p99_ms)}"),
        _count("missing", flow.missing, STYLES["fail"]),
        _count("dead", flow.dead, STYLES["warn"]),
        _count("quar" if columns <= 6 else "quarantine", flow.quarantine, STYLES["warn"]),
    ]


def _draw_rate(name: str, per_min: int | None, counts: Sequence[int], columns: int) -> Text:
    rate = "-" if per_min is None else f"{per_min}/m"
    return safe(f"{name} {rate} {draw_curve(counts, columns)}".rstrip())


def _count(name: str, number: int, style: str) -> Text:
    """Return a number that should be 0: without a word where it is."""
    return safe(f"{name} {number}", style) if number else safe("")


def _draw_body(overview: Overview, view: View, width: int, height: int) -> list[Text]:
    """Return the parts below the head, each as large as there is room for. The cursor is always in sight."""
    problems, rows = overview.findings, view.list_rows(overview)
    headings, *waiting = draw_waiting(rows, view, width) or [safe("")]
    out = draw_out(overview, view, width)
    last = [draw_last(line, view) for line in overview.last]
    wishes = [
        Wish(min(len(problems), max(2, height // 6)), 1, head=0),
        Wish(len(waiting), 3, head=1),
        Wish(len(out), 4),
        Wish(len(last), 2),
    ]
    findings, waiters, sinks, events = share(height - 1, wishes)
    lines = _draw_findings(problems, findings)
    lines.append(_rule(_describe_waiting(overview), width, f"sort: {view.sort}"))
    if waiters:
        places = [row.batch_key for row in rows]
        lines += [headings, *_cut_out(waiting, waiters, _find_place(view, "batch", places))]
    if sinks:
        places = [sink.name for sink in overview.sinks]
        lines.append(_rule("out to", width, _count_hidden(len(out) - sinks)))
        lines += _cut_out(out, sinks, _find_place(view, "sink", places))
    if events:
        lines += [_rule("last", width), *last[:events]]
    return lines


def _find_place(view: View, kind: str, names: Sequence[str]) -> int | None:
    """Return on which of these lines the cursor is."""
    if view.cursor is None or view.cursor[0] != kind or view.cursor[1] not in names:
        return None
    return names.index(view.cursor[1])


def _cut_out(lines: Sequence[Text], count: int, cursor: int | None) -> Sequence[Text]:
    first = scroll(len(lines), count, cursor)
    return lines[first : first + count]


def _describe_waiting(overview: Overview) -> str:
    waiting = overview.waiting
    if not waiting.batches:
        return f"waiting: nobody{_describe_held(waiting.held)}"
    oldest = "" if waiting.oldest_ms is None else f", oldest {brief(waiting.oldest_ms)}"
    late = f", {waiting.overdue} overdue" if waiting.overdue else ""
    size = f"{counted(waiting.batches, 'batch')}, {counted(waiting.messages, 'message')}"
    return f"waiting: {size}{oldest}{late}{_describe_held(waiting.held)}"


def _describe_held(count: int) -> str:
    return f", {count} held" if count else ""


def _count_hidden(count: int) -> str:
    return f"… {count} more" if count > 0 else ""


def _draw_findings(problems: Sequence[FindingRow], count: int) -> list[Text]:
    lines = [_draw_finding(finding) for finding in problems[:count]]
    if lines and len(problems) > count:
        lines[-1] = join(safe(f"({len(problems) - count} more: w) ", "dim"), lines[-1])
    return lines


def _draw_finding(finding: FindingRow) -> Text:
    state, word = label_finding(finding)
    label = safe(f"{SIGNS[state]} {word}", STYLES[state])
    return join(label, safe(f" {finding.fact}"), safe(f"  {finding.fix}", "dim"))


def label_finding(finding: FindingRow) -> tuple[State, str]:
    """Return the state that a finding is shown as, and the word for it."""
    return ("fail", "FAIL") if finding.severity == "error" else ("warn", "warn")


def _draw_foot(notice: Notice | None, view: View, width: int) -> Text:
    if notice is None:
        keys = [safe(line, "dim") for line in (_KEYS_READ_ONLY if view.is_read_only else _KEYS)]
        return next((line for line in keys if line.cell_len <= width), keys[-1])
    return (
        safe(f"{SIGNS['fail']} {notice.text}", STYLES["fail"])
        if notice.is_failure
        else safe(notice.text, "bold")
    )


def _rule(title: str, width: int, right: str = "") -> Text:
    """Return a line with a title, and something at its right end."""
    line = join(safe("── ", "dim"), safe(title, "bold"), safe(" "))
    end = safe(f" {right} ──" if right else "", "dim")
    return join(line, safe("─" * max(0, width - line.cell_len - end.cell_len), "dim"), end)
