"""Runs the table of small bugs: each in a copy of the repository, with the tests that should notice it.

The copies share their files with the repository by hard links; only the changed file is a new one. First the tests of
the table must pass without any bug, since a test that fails anyway notices nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from tests.support.parents import tie_to_parent

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "tests" / "mutants.toml"
RUN_S = 600
"""For a busy machine; pytest itself ends a test that hangs."""
_UNSET = ("PYTHONDONTWRITEBYTECODE", "TEST_REDIS_SERVERS", "TEST_REDIS_ACL")
"""Each run would compile every library again; and the tests are named as they run on the embedded server."""
_PASSED, _FAILED = 0, 1
Verdict = Literal["caught", "SURVIVED", "does not apply", "tests do not run", "tests do not end"]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One small bug, and the tests that should notice it."""

    file: str
    old: str
    new: str
    breaks: str
    tests: tuple[str, ...]


class MutantDoesNotApplyError(Exception):
    """The text of a mutant is not in its file exactly once."""


def read_table(path: Path = TABLE) -> list[Mutant]:
    """Return the mutants of a table. Raises TypeError for a row with other fields."""
    rows = tomllib.loads(path.read_text(encoding="utf-8"))["mutant"]
    return [Mutant(**{**row, "tests": tuple(row["tests"])}) for row in rows]


def choose(mutants: Sequence[Mutant], count: int | None, seed: int) -> list[Mutant]:
    """Return so many of the mutants, in their order; the seed says which. None is all."""
    if count is None or count >= len(mutants):
        return list(mutants)
    places = sorted(random.Random(seed).sample(range(len(mutants)), count))
    return [mutants[place] for place in places]


def apply(mutant: Mutant, folder: Path) -> None:
    """Write the bug into a copy. Raises MutantDoesNotApplyError; then the copy is as it was."""
    path = folder / mutant.file
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if text.count(mutant.old) != 1 or mutant.old == mutant.new:
        raise MutantDoesNotApplyError(f"{mutant.file} has the text {text.count(mutant.old)} times")
    path.unlink()  # the file of the repository shares its content with this name
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")


@contextlib.contextmanager
def copied(root: Path = ROOT) -> Iterator[Path]:
    """Give a copy of the repository's files: those that git knows, and new ones that it does not ignore."""
    with tempfile.TemporaryDirectory(prefix="rfctl-mutant-") as folder:
        names = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=root, capture_output=True, check=True, text=True,
        ).stdout.split("\0")  # fmt: skip
        for name in filter(None, names):
            if (root / name).is_file():
                _link(root / name, Path(folder) / name)
        yield Path(folder)


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


def run_tests(folder: Path, tests: Sequence[str], within_s: float = RUN_S) -> Verdict:
    """Run tests on a copy, up to the first that fails."""
    variables = {**os.environ, "PYTHONPATH": str(folder)}
    for name in _UNSET:
        variables.pop(name, None)
    command = tie_to_parent([sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", *tests])
    try:
        done = subprocess.run(
            command, cwd=folder, env=variables, capture_output=True, timeout=within_s, check=False
        )
    except subprocess.TimeoutExpired:
        return "tests do not end"
    verdicts: dict[int, Verdict] = {_PASSED: "SURVIVED", _FAILED: "caught"}
    return verdicts.get(done.returncode, "tests do not run")


def judge(mutant: Mutant, root: Path = ROOT) -> Verdict:
    """Return what the tests of a mutant say to it."""
    with copied(root) as folder:
        try:
            apply(mutant, folder)
        except MutantDoesNotApplyError:
            return "does not apply"
        return run_tests(folder, mutant.tests)


def find_failing_tests(mutants: Sequence[Mutant], root: Path = ROOT) -> Verdict | None:
    """Return the verdict on the tests of these mutants without any bug; None when they pass, as they must."""
    tests = list(dict.fromkeys(test for mutant in mutants for test in mutant.tests))
    with copied(root) as folder:
        verdict = run_tests(folder, tests, RUN_S + 30 * len(tests))
    return None if verdict == "SURVIVED" else verdict


def run(mutants: Sequence[Mutant], root: Path = ROOT, *, parallel: int = 2) -> bool:
    """Judge mutants, print the table, and return whether all of them were caught."""
    if (failure := find_failing_tests(mutants, root)) is not None:
        print(f"without any bug, the tests of these mutants fail ({failure}): mend them first")
        return False
    verdicts: list[Verdict] = []
    with ThreadPoolExecutor(parallel) as pool:
        for mutant, verdict in zip(mutants, pool.map(partial(judge, root=root), mutants), strict=True):
            print(f"{verdict:<18}  {mutant.file}: {mutant.breaks}", flush=True)
            verdicts.append(verdict)
    count = verdicts.count("caught")
    print(f"{count} of {len(mutants)} caught")
    return count == len(mutants)


def main(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="scripts/mutants", description=__doc__)
    parser.add_argument("--count", type=int, help="so many of them, chosen by the seed; default: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--file", default="", help="only mutants of files with this in their path")
    options = parser.parse_args(arguments)
    mutants = [mutant for mutant in read_table() if options.file in mutant.file]
    return 0 if run(choose(mutants, options.count, options.seed)) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
