"""Makes the page docs/PERFORMANCE.md of the figures in a folder: python -m bench report FOLDER

The folder has the JSON of other programs (`--out FOLDER`). The counts of instructions come from bench/instructions.toml. A file
profile.md of the folder goes in as it is. Without any file of a program, its part is missing on the page.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.callgrind import ROOT
from bench.goals import compare
from bench.instruction_counts import Kept, parse_kept
from bench.instructions import KEPT_FILE, WORK
from bench.results import format_number

PAGE = ROOT / "docs" / "PERFORMANCE.md"
TITLES = {
    "duel": "Taking messages in, side by side",
    "kinds": "Kinds of requests",
    "handover": "Many batches due at once",
    "late": "Lateness under load",
    "forward": "Delivering",
    "grow": "Many pending batches",
    "cli": "Start-up of commands",
    "idle": "A daemon without work",
    "watch": "Somebody who watches",
}
RIVALS, PIPED = ("Express + script", "Fastify + script"), "add piped, 1 a call"
HEAD = """\
# Performance

`python -m bench report FOLDER` wrote this page; do not edit it. It has medians of what this command measured:

    for name in {names}; do python -m bench $name --out FOLDER; done

Ratios hold on other machines, and rates do not. Load generator, server and Redis share the cores. Each contender has a Redis
of its own, which syncs its append-only file before each answer. All of them take turns in each cycle, and who waits for its turn is
stopped.

## Machine and versions
"""
Page = Sequence[str]


def build_page(results: Mapping[str, Mapping[str, Any]], kept: Mapping[str, Kept], profile: str = "") -> str:
    """Return the page. `results` are the contents of the files, by program."""
    newest = max(results.values(), key=lambda content: content["at"], default=None)
    parts = [HEAD.format(names=" ".join(TITLES))]
    if newest is not None:
        parts.append(
            build_table([{"what": name, "version": value} for name, value in newest["machine"].items()])
        )
    if goals := compare(results):
        parts += ["## What is to be reached", build_table(goals)]
    for name, title in TITLES.items():
        if name in results:
            parts += build_part(title, results[name])
    parts += ["## Instructions", "Callgrind's counts, a message or a batch.", build_table(build_counts(kept))]
    if profile:
        parts.append(profile.rstrip())
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def build_part(title: str, content: Mapping[str, Any]) -> list[str]:
    """Return the part of one program."""
    options = ", ".join(f"{name} {value:,g}" for name, value in content["options"].items())
    rows = add_ratio(content["medians"]) if content["program"] == "kinds" else content["medians"]
    part = [
        f"## {title}",
        f"{content['note']} Measured on {content['at']} with {options}.",
        build_table(rows),
    ]
    if content["program"] == "duel":
        part += ["Messages a second, divided:", build_table(build_ratios(content["medians"]))]
    if content["problems"]:
        part += ["This run had wrong answers:", "\n".join(f"- {problem}" for problem in content["problems"])]
    return part


def build_ratios(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rfctl's rates divided by those of its rivals and by the piped script, a row for each number of connections."""
    rates = {(row["contender"], row["connections"]): row["messages/s"] for row in rows}
    piped = rates.get((PIPED, "1"))
    ratios = []
    for (name, connections), rate in rates.items():
        if name == "rfctl":
            others = {rival: rates.get((rival, connections)) for rival in RIVALS} | {PIPED: piped}
            row = {f"rfctl ÷ {other}": rate / value for other, value in others.items() if value}
            ratios.append({"connections": connections, **row})
    return ratios


def add_ratio(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of kinds, each with its rate divided by that of the first, the generic one."""
    return [{**row, "÷ generic": row["messages/s"] / rows[0]["messages/s"]} for row in rows]


def build_counts(kept: Mapping[str, Kept]) -> list[dict[str, Any]]:
    """Return the kept counts, and what became of each."""
    return [
        {"work": WORK[name][1] if name in WORK else name, "before": row.base, "now": row.current, "ratio": row.current / row.base}
        for name, row in kept.items()
    ]  # fmt: skip


def build_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as a table of Markdown."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    aligned = ["---" if any(isinstance(row.get(name), str) for row in rows) else "---:" for name in names]
    lines = [names, aligned, *([format_number(row.get(name, "")) for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def read_results(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the contents of the files of a folder, by program."""
    contents = {name: folder / f"{name}.json" for name in TITLES}
    return {name: json.loads(path.read_text()) for name, path in contents.items() if path.exists()}


def main() -> int:
    """Write the page."""
    parser = argparse.ArgumentParser(prog=sys.argv[0], description="Writes docs/PERFORMANCE.md.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    results, profile = read_results(folder), folder / "profile.md"
    kept = parse_kept((ROOT / KEPT_FILE).read_text())
    PAGE.write_text(build_page(results, kept, profile.read_text() if profile.exists() else ""))
    missing = [name for name in TITLES if name not in results]
    print(f"{PAGE.relative_to(ROOT)} is written" + (f", without {', '.join(missing)}" if missing else ""))
    return 0
