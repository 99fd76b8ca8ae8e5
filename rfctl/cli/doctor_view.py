"""What `doctor` shows of a diagnosis: as JSON, as lines for a pipe, and as a screen."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import asdict
from itertools import groupby
from typing import Any

from rfctl.cli.output import safe
from rfctl.model.installation import holds_install_command
from rfctl.observe.diagnosis import Diagnosis, DiagnosisLine, State
from rfctl.text import counted, mask_urls

_WORDS: dict[State, str] = {"fail": "FAIL", "warn": "warn", "ok": "ok", "skip": "-"}
_WIDTH = 4
_STYLES: dict[State, str] = {"fail": "bold red", "warn": "yellow", "ok": "green", "skip": "dim"}


def as_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return a diagnosis for `-o json`."""
    return {
        "state": diagnosis.state,
        "failures": diagnosis.count("fail"),
        "warnings": diagnosis.count("warn"),
        "lines": [asdict(line) for line in diagnosis.lines],
    }


def list_lines(diagnosis: Diagnosis) -> list[str]:
    """Return the lines as text, and a last one with the sum."""
    rows = (f"{_WORDS[state]:<5} {text}" for state, text in list_rows(diagnosis))
    return [*rows, summarize(diagnosis)]


def list_rows(diagnosis: Diagnosis) -> list[tuple[State, str]]:
    """Return each line as its state and a text; topics that were not looked at for one cause share a line."""
    rows = [(line.state, describe(line)) for line in diagnosis.lines if line.state != "skip"]
    skipped: dict[str, list[str]] = {}
    for line in diagnosis.lines:
        if line.state == "skip":
            skipped.setdefault(line.fact, []).append(line.topic)
    return [*rows, *(("skip", f"{', '.join(topics)}: {why}") for why, topics in skipped.items())]


def describe(line: DiagnosisLine) -> str:
    """Return one line behind its state: topic, fact with its code, who set it, cure. A command to paste stays at the end."""
    code = f" [{line.code}]" if line.code else ""
    set_by = f"set by {line.set_by}" if line.set_by else ""
    return mask_urls(" · ".join(filter(None, (f"{line.topic}: {line.fact}{code}", set_by, line.fix))))


def summarize(diagnosis: Diagnosis) -> str:
    """Return how many failures and warnings there are."""
    failures, warnings = diagnosis.count("fail"), diagnosis.count("warn")
    if not failures and not warnings:
        return "nothing is wrong"
    return f"{counted(failures, 'failure')}, {counted(warnings, 'warning')}"


def draw(diagnosis: Diagnosis) -> Any:
    """Return a diagnosis for a terminal, folded beside its states; elsewhere, and with a command to paste, a line is whole."""
    from rich.console import Group

    if not sys.stdout.isatty():
        return Group(*(safe(line) for line in list_lines(diagnosis)))
    rows = groupby(list_rows(diagnosis), lambda row: holds_install_command(row[1]))
    parts = [part for is_whole, group in rows for part in (_join if is_whole else _tabulate)(group)]
    return Group(*parts, "", safe(summarize(diagnosis), f"bold {_STYLES[diagnosis.state]}"))


def _join(rows: Iterable[tuple[State, str]]) -> list[Any]:
    from rich.text import Text

    return [
        Text.assemble((f"{_WORDS[state]:<{_WIDTH}}  ", _STYLES[state]), safe(text)) for state, text in rows
    ]


def _tabulate(rows: Iterable[tuple[State, str]]) -> list[Any]:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, min_width=_WIDTH)
    table.add_column(overflow="fold")
    for state, text in rows:
        is_quiet = state in ("ok", "skip")
        table.add_row(Text(_WORDS[state], style=_STYLES[state]), safe(text, "dim" if is_quiet else ""))
    return [table]
