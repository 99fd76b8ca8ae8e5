"""The texts of the screens over the board: help, findings, and what became of a person. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.text import Text

from rfctl.cli.output import safe
from rfctl.cli.signs import SIGNS, STYLES
from rfctl.cli.top.board import label_finding
from rfctl.cli.top.cells import join
from rfctl.observe.overview import FindingRow

_HELP = (
    ("↑ ↓, k j", "choose a line"),
    ("⏎", "what became of the chosen person's messages"),
    ("/", "find a person by phone or batch key"),
    ("f", "hand the chosen batch over now"),
    ("x", "throw the chosen batch away, and show it"),
    ("h", "hold the chosen person: the bot gets nothing of them"),
    ("l", "release the chosen person"),
    ("p", "pause the chosen sink"),
    ("r", "resume the chosen sink, and retry what waits"),
    ("w", "all that needs you, with what to do"),
    ("s", "sort by due time, size or wait"),
    ("n", "show phones whole, or masked again"),
    ("q", "quit"),
)
_ACTING = frozenset("fxhlpr")


def write_help(*, is_read_only: bool) -> list[Text]:
    """Return a line for each key that works."""
    keys = [(key, text) for key, text in _HELP if not (is_read_only and key in _ACTING)]
    return [join(safe(f"{key:<9}", "bold"), safe(text)) for key, text in keys]


def write_findings(findings: Sequence[FindingRow]) -> list[Text]:
    """Return each finding whole: the fact with its code, who set it, what to do."""
    if not findings:
        return [safe("nothing needs you")]
    return [line for finding in findings for line in _write_finding(finding)]


def _write_finding(finding: FindingRow) -> Iterable[Text]:
    state, word = label_finding(finding)
    fact, code = Text(safe(finding.fact).plain, style="not bold"), safe(f" [{finding.code}]", "not bold dim")
    yield safe(f"{SIGNS[state]} {word} ", STYLES[state]).append_text(fact).append_text(code)
    if finding.set_by:
        yield safe(f"  set by {finding.set_by}", "dim")
    yield safe(f"  {finding.fix}", "dim")


def write_events(rows: Sequence[tuple[str, str]]) -> list[Text]:
    """Return a line for each event of a person, with its time before it."""
    return [join(safe(f"{at}  " if at else "    ", "dim"), safe(line)) for at, line in rows]
