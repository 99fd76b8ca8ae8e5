"""What `doctor` shows of a diagnosis: as JSON, as lines for a pipe, and as a screen."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rfctl.cli.folding import fold
from rfctl.cli.output import open_console, safe
from rfctl.observe.diagnosis import Diagnosis, DiagnosisLine, State
from rfctl.text import counted, mask_urls

if TYPE_CHECKING:
    from rich.text import Text

_WORDS: dict[State, str] = {"fail": "FAIL", "warn": "warn", "ok": "ok", "skip": "-"}
_WIDTH = 4
_GAP = 2
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
    """Return a diagnosis for a terminal, folded beside its states; elsewhere a line is whole."""
    from rich.console import Group

    if not sys.stdout.isatty():
        return Group(*(safe(line) for line in list_lines(diagnosis)))
    cures = {describe(line): mask_urls(line.fix) for line in diagnosis.lines}
    rows = [
        part for state, text in list_rows(diagnosis) for part in _draw_row(state, text, cures.get(text, ""))
    ]
    return Group(*rows, "", safe(summarize(diagnosis), f"bold {_STYLES[diagnosis.state]}"))


def _draw_row(state: State, text: str, cure: str) -> Iterator[Text]:
    from rich.text import Text

    label = Text(f"{_WORDS[state]:<{_WIDTH}}{'':{_GAP}}", _STYLES[state])
    line, room = safe(text, "dim" if state in ("ok", "skip") else ""), open_console().width - label.cell_len
    for part in fold(line, room, len(line) - len(safe(cure))):
        yield Text.assemble(label, part)
        label = Text(" " * label.cell_len)
