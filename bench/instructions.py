"""Counts instructions of the scripts and of the intake with callgrind, and compares them: python -m bench instructions

    python -m bench instructions                     counts this tree, and says how that goes with the kept counts
    python -m bench instructions --only add-single   counts some of the work
    python -m bench instructions --write             … and keeps them as `current` in bench/instructions.toml
    python -m bench instructions --json FILE         … and writes them as JSON
    python -m bench instructions --before FOLDER     … and counts another tree too: ends with 1 if a count has risen

Counts do not depend on how busy the machine is, and repeat within about 0.3 %. They go by the versions of Redis,
Python and the libraries: compare two commits in one environment. It needs valgrind and redis-server.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

from bench.callgrind import ROOT
from bench.counted_work import DUE_SOON, WAVE, add_messages, count_intake, count_script, hand_over_batches
from bench.errors import BenchError
from bench.instruction_counts import Kept, explain_rises, format_counts, parse_kept
from tests.support.parents import tie_to_parent

KEPT_FILE = "bench/instructions.toml"
MESSAGES, WAVES, BATCHES = 1_000, 16, 1_050


def _count_single_adds() -> float:
    return (count_script(add_messages(10 + MESSAGES, 1)) - count_script(add_messages(10, 1))) / MESSAGES


def _count_grouped_adds() -> float:
    return (count_script(add_messages(110, 50)) - count_script(add_messages(10, 50))) / 5_000


def _count_hand_overs() -> float:
    batches: list[int] = []
    most, least = (
        count_script(hand_over_batches(BATCHES, count, batches), DUE_SOON)
        for count in (BATCHES, BATCHES - 1_000)
    )
    return (most - least) / (batches[0] - batches[1])


@cache
def _count_start() -> int:
    return count_intake()


def _count_single_requests() -> float:
    return (count_intake(single=MESSAGES) - _count_start()) / MESSAGES


def _count_waves() -> float:
    return (count_intake(waves=WAVES) - _count_start()) / (WAVES * WAVE)


WORK: dict[str, tuple[Callable[[], float], str]] = {
    "add-single": (_count_single_adds, "redis-server: the script add, a message, one a call"),
    "add-grouped": (_count_grouped_adds, "redis-server: the script add, a message, 50 a call"),
    "hand-over": (_count_hand_overs, "redis-server: the script hand_over, a batch of three messages"),
    "intake-single": (_count_single_requests, "daemon: a message, one a request, one request at a time"),
    "intake-grouped": (_count_waves, "daemon: a message, one a request, 64 requests at a time"),
}
"""Name → what counts it, and what it is. All are instructions a message or a batch."""


def count_all(names: list[str]) -> dict[str, int]:
    """Count this tree, and print each count as it comes."""
    counts = {}
    for name in names:
        counts[name] = round(WORK[name][0]())
        print(f"{name:16} {counts[name]:>11,}  {WORK[name][1]}", flush=True)
    return counts


@contextlib.contextmanager
def counting_tree(folder: Path, names: Sequence[str]) -> Iterator[Callable[[], dict[str, int] | None]]:
    """Count another tree by its own program, beside what is done meanwhile: counts do not mind. No names: all it has.

    Gives what waits for it and returns the counts, or None where the tree has none.
    """
    if not (folder / KEPT_FILE).exists():
        yield lambda: None
        return
    with tempfile.TemporaryDirectory(prefix="rfctl-bench-") as own:
        file = Path(own) / "counts.json"
        command = [sys.executable, "-m", "bench", "instructions", "--json", str(file)]
        only = [word for name in names for word in ("--only", name)]
        environment = os.environ | {"PYTHONPATH": str(folder)}
        counting = subprocess.Popen(
            tie_to_parent([*command, *only]), cwd=folder, env=environment, stdout=subprocess.DEVNULL
        )

        def wait() -> dict[str, int]:
            if status := counting.wait(timeout=3600):
                raise BenchError(f"the tree before could not be counted (exit status {status})")
            counts: dict[str, int] = json.loads(file.read_text())
            return counts

        try:
            yield wait
        finally:
            counting.terminate()
            counting.wait(timeout=60)


def read_kept(folder: Path) -> dict[str, Kept]:
    """Return the kept counts of a tree."""
    return parse_kept((folder / KEPT_FILE).read_text())


def compare(folder: Path, before: dict[str, int] | None, counts: dict[str, int]) -> int:
    """Print what has risen since another tree, and return the exit status."""
    print("== beside the tree before")
    if before is None:
        print("the tree before has no such counts: there is nothing to compare with")
        return 0
    for name in [name for name in counts if name in before]:
        print(f"{name:16} {before[name]:>11,}  before; now {counts[name] / before[name]:.3f} × that")
    rises = explain_rises(before, counts, read_kept(folder), read_kept(ROOT))
    for line in rises:
        print(f"FAILED: {line}")
    print("" if rises else "no count has risen")
    return int(bool(rises))


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Counts instructions with callgrind.")
    parser.add_argument(
        "--only", action="append", choices=list(WORK), help="count this alone; may be repeated"
    )
    parser.add_argument("--write", action="store_true", help=f"keep the counts in {KEPT_FILE}")
    parser.add_argument("--json", type=Path, help="write the counts into this file")
    parser.add_argument("--before", type=Path, help="a folder with the tree to compare with")
    return parser.parse_args(arguments)


def main() -> int:
    """Count, compare and keep, as the command line says."""
    options = parse(sys.argv[1:])
    kept_path = ROOT / KEPT_FILE
    kept = parse_kept(kept_path.read_text()) if kept_path.exists() else {}
    names, before = options.only or list(WORK), options.before and options.before.resolve()
    with contextlib.ExitStack() as stack:
        wait = stack.enter_context(counting_tree(before, options.only or ())) if before else None
        counts = count_all(names)
        status = compare(before, wait(), counts) if wait else 0
    for name, count in counts.items():
        if name in kept:
            print(
                f"{name:16} {count / kept[name].base:6.2f} × base, {count / kept[name].current:6.2f} × current"
            )
    if options.json:
        options.json.write_text(json.dumps(counts))
    if options.write:
        kept |= {
            name: Kept(kept[name].base if name in kept else count, count) for name, count in counts.items()
        }
        kept_path.write_text(format_counts(kept, {name: text for name, (_, text) in WORK.items()}))
    return status
