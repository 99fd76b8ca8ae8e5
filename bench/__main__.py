"""Runs one measurement by its name: python -m bench NAME [ARGUMENT …]; without a name it lists them."""

from __future__ import annotations

import ast
import importlib
import signal
import sys
from pathlib import Path

from bench.errors import BenchError

FOLDER = Path(__file__).parent
PROGRAMS = {
    "duel": "duel",
    "kinds": "kinds",
    "handover": "handover",
    "late": "late",
    "grow": "grow",
    "forward": "forward",
    "cli": "cli",
    "idle": "idle",
    "instructions": "instructions",
    "profile": "profiled",
    "source-work": "source_work",
    "intake-protocol": "intake_protocol",
    "report": "report",
    "ingest": "ingest",
    "end-to-end": "end_to_end",
    "ids": "ids",
    "long-calls": "long_calls",
    "memory": "memory",
    "stats-million": "stats_million",
    "storm": "storm",
    "watch": "watch",
}
"""Name → the module that has its `main`, which returns an exit status."""


def read_summary(module: str) -> str:
    """Return the first line of a module's docstring, without importing it."""
    tree = ast.parse((FOLDER / f"{module}.py").read_text())
    return (ast.get_docstring(tree) or "").partition("\n")[0]


def list_programs() -> str:
    """Return a line for each program."""
    lines = [f"  {name:<14} {read_summary(module)}" for name, module in PROGRAMS.items()]
    return "\n".join(["usage: python -m bench NAME [ARGUMENT ...]", *lines])


def main() -> int:
    """Run the program that the command line names. Returns its exit status."""
    name, *arguments = sys.argv[1:] or [""]
    if name in {"-h", "--help"}:
        print(list_programs())
        return 0
    if name not in PROGRAMS:
        problem = f"there is no program {name}\n" if name else ""
        print(problem + list_programs(), file=sys.stderr)
        return 2
    # A program that is stopped ends what it has started, and leaves no file.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.argv = [f"python -m bench {name}", *arguments]
    try:
        return int(importlib.import_module(f"bench.{PROGRAMS[name]}").main() or 0)
    except BenchError as problem:
        print(f"{name}: {problem}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
