"""Rows of figures: medians over cycles, one table on the screen, one file of JSON."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.machine import describe_machine

Row = Mapping[str, float | int | str]
"""Column → figure. The texts say what was measured, and the numbers what came of it."""


@dataclass(slots=True)
class Results:
    """What one program measured: rows of each cycle, and what was wrong. `note` says in a sentence what it is."""

    program: str
    note: str
    rows: list[Row] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Keep the row of one cycle."""
        self.rows.append(row)

    def report(self, folder: Path | None, **options: Any) -> int:
        """Print the medians and the problems, write them into a folder if there is one, and return the exit status."""
        print(format_table(medians := take_medians(self.rows)))
        for problem in self.problems:
            print(f"WRONG: {problem}")
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            content = {
                "program": self.program, "note": self.note, "at": time.strftime("%Y-%m-%d", time.gmtime()),
                "options": options, "machine": describe_machine(), "medians": medians, "rows": self.rows,
                "problems": self.problems,
            }  # fmt: skip
            (folder / f"{self.program}.json").write_text(
                json.dumps(content, indent=1, ensure_ascii=False) + "\n"
            )
        return int(bool(self.problems))


def take_medians(rows: Sequence[Row]) -> list[dict[str, float | int | str]]:
    """Return a row for each group of rows with the same texts, in their first order, with the median of each number."""
    groups: dict[tuple[tuple[str, str], ...], list[Row]] = {}
    for row in rows:
        key = tuple((name, value) for name, value in row.items() if isinstance(value, str))
        groups.setdefault(key, []).append(row)
    return [
        {name: value if isinstance(value, str) else _median(group, name) for name, value in group[0].items()}
        for group in groups.values()
    ]


def _median(group: Sequence[Row], name: str) -> float:
    return statistics.median(float(row[name]) for row in group)


def format_number(value: float | int | str) -> str:
    """Return a figure as a table shows it: three digits that count, and thousands apart."""
    if isinstance(value, str):
        return value
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def format_table(rows: Sequence[Row]) -> str:
    """Return the rows under their columns: texts to the left, numbers to the right."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[format_number(row.get(name, "")) for name in names] for row in rows]
    widths = [max([len(name), *(len(line[i]) for line in cells)]) for i, name in enumerate(names)]
    texts = [bool(rows) and isinstance(rows[0].get(name), str) for name in names]

    def join(line: Sequence[str]) -> str:
        parts = [
            cell.ljust(width) if is_text else cell.rjust(width)
            for cell, width, is_text in zip(line, widths, texts, strict=True)
        ]
        return "  ".join(parts).rstrip()

    return "\n".join(join(line) for line in [names, *cells])
