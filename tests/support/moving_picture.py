"""Records a real `rfctl demo` on a terminal, and draws it as an SVG in which each line appears when it came.

`python -m tests.support.moving_picture FILE` writes it. The file needs nothing from outside: its motion is CSS. It follows
the reader's colours, dark or light, and stands still for whoever wants no motion.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from xml.sax.saxutils import escape

from rich.cells import cell_len

from tests.support.processes import environment
from tests.support.terminals import Terminal
from tests.support.waiting import PATIENCE_S

COLUMNS = 80
CELL, ROW, MARGIN, BAR = 8.4, 21, 18, 30
"""Pixels: a character's width, a line's height, the space around the text, and the height of the window's bar."""
TYPED_S, HOLD_S, STEP_S = 0.8, 5.0, 0.05
"""When the first line comes, how long the last picture stands before it begins again, and what counts as at once."""
LAST_LINE = re.compile(r"\d+ messages in, ")
_SGR = re.compile(r"\x1b\[([0-9;]*)m")
_LEVELS = (0, 95, 135, 175, 215, 255)
TITLE = "rfctl demo: four short messages come in, and one goes out"

STYLE = """
svg{--ground:#fff;--edge:#d0d7de;--ink:#1f2328;--dim:#59636e}
@media(prefers-color-scheme:dark){svg{--ground:#0d1117;--edge:#3d444d;--ink:#e6edf3;--dim:#9198a1}}
rect,circle{fill:var(--ground);stroke:var(--edge)}
circle{fill:var(--edge)}
text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:var(--ink);white-space:pre}
.b{font-weight:700}.d{fill:var(--dim)}
"""


@dataclass(frozen=True, slots=True)
class Run:
    """A piece of a line with its style: seconds since the start, row and column from 0."""

    at_s: float
    row: int
    column: int
    text: str
    style: str
    """`b`, `d`, a colour as #rrggbb, or nothing."""


def record() -> list[tuple[float, str]]:
    """Run `rfctl demo` to its end, and return what came when. Raises AssertionError when it fails."""
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", "rfctl", "demo"]
        with Terminal(command, environment(Path(home)), columns=COLUMNS) as terminal:
            assert terminal.wait_for_end(2 * PATIENCE_S) == 0, terminal.text
            return terminal.pieces


def find_runs(pieces: Iterable[tuple[float, str]]) -> list[Run]:
    """Return what stands where, and from when on. The demo only adds lines: nothing moves the cursor."""
    runs: list[Run] = []
    row, column, style, began = 0, 0, "", None
    for at, text in pieces:
        began = at if began is None else began
        for part in re.split(r"(\r?\n|\x1b\[[0-9;]*m)", text):
            if part.endswith("\n"):
                row, column = row + 1, 0
            elif sgr := _SGR.fullmatch(part):
                style = read_style(sgr[1])
            elif part:
                runs.append(Run(at - began, row, column, part, style))
                column += cell_len(part)
    return runs


def read_style(codes: str) -> str:
    """Return the style of one SGR sequence, as rich writes them."""
    if colour := re.fullmatch(r"38;5;(\d+)", codes):
        return read_colour(int(colour[1]))
    return {"1": "b", "2": "d"}.get(codes, "")


def read_colour(number: int) -> str:
    """Return a colour of the cube of 256 as #rrggbb."""
    assert 16 <= number < 232, number
    red, green, blue = (_LEVELS[(number - 16) // step % 6] for step in (36, 6, 1))
    return f"#{red:02x}{green:02x}{blue:02x}"


def cut_after_summary(runs: list[Run]) -> list[Run]:
    """Return the runs up to the line with the totals: what to type next is for those who ran it."""
    last = next(run.row for run in runs if LAST_LINE.match(run.text))
    return [run for run in runs if run.row <= last]


def draw(pieces: Iterable[tuple[float, str]]) -> str:
    """Return the SVG of a recorded demo."""
    typed = [Run(0, 0, 0, "$ ", "d"), Run(0, 0, 2, "rfctl demo", "b")]
    came = [
        Run(run.at_s + TYPED_S, run.row + 1, run.column, run.text, run.style)
        for run in cut_after_summary(find_runs(pieces))
    ]
    runs = [run for run in (*typed, *came) if run.text.strip()]
    last_s = max(run.at_s for run in runs)
    width = round(COLUMNS * CELL + 2 * MARGIN)
    height = BAR + 2 * MARGIN + ROW * (max(run.row for run in runs) + 1) - ROW // 2
    steps = groupby(sorted(runs, key=lambda run: (count_steps(run), run.row, run.column)), key=count_steps)
    groups = [list(group) for _, group in steps]
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{TITLE}">',
        f"<title>{TITLE}</title>",
        f"<style>{STYLE}{draw_motion(groups, last_s + HOLD_S)}</style>",
        f'<rect x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="8"/>',
        *(f'<circle cx="{MARGIN + 4 + 18 * place}" cy="{BAR // 2 + 4}" r="5"/>' for place in range(3)),
        *(f'<g class="s{place}">{"".join(map(draw_run, group))}</g>' for place, group in enumerate(groups)),
        "</svg>\n",
    ])  # fmt: skip


def count_steps(run: Run) -> int:
    """Return when a run appears, in steps: what comes at once appears together."""
    return round(run.at_s / STEP_S)


def draw_motion(groups: list[list[Run]], all_s: float) -> str:
    """Return the CSS that lets each group appear at its time, again and again; still for whoever wants it so."""
    return (
        "".join(_list_motion(groups, all_s))
        + "@media(prefers-reduced-motion:reduce){g{animation:none!important}}\n"
    )


def _list_motion(groups: list[list[Run]], all_s: float) -> Iterator[str]:
    for place, group in enumerate(groups):
        share = 100 * group[0].at_s / all_s
        if share:
            yield f"@keyframes k{place}{{0%{{opacity:0}}{share:.2f}%{{opacity:1}}}}\n"
            yield f".s{place}{{animation:k{place} {all_s:.1f}s step-end infinite}}\n"


def draw_run(run: Run) -> str:
    """Return the SVG of a run: its length is set, so that each font stands in the same columns."""
    text = run.text.rstrip()
    x, y = MARGIN + run.column * CELL, BAR + MARGIN + ROW * run.row + ROW // 2
    length = cell_len(text) * CELL
    look = f'style="fill:{run.style}"' if run.style.startswith("#") else f'class="{run.style}"'
    look = "" if look == 'class=""' else f" {look}"
    return f'<text x="{x:.1f}" y="{y}" textLength="{length:.1f}" lengthAdjust="spacingAndGlyphs"{look}>{escape(text)}</text>'


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(draw(record()), encoding="utf-8")
