"""Counts the instructions of a program with valgrind's callgrind, while something uses it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.errors import BenchError
from tests.support.parents import tie_to_parent

BOUND_S = 600
ROOT = Path(__file__).parents[1]
_COLLECTED = re.compile(r"Collected : (\d+)")


class CountError(BenchError):
    """Callgrind counted nothing: the program failed, or valgrind did."""


def count_instructions(
    command: Sequence[str], use: Callable[[int], None], *, variables: Mapping[str, str] | None = None
) -> int:
    """Run a command under callgrind, `use` it, end it with SIGTERM, and return its instructions.

    `use` gets its process id, and waits until it is ready. Raises CountError, and what `use` raises.
    """
    with tempfile.TemporaryDirectory(prefix="rfctl-callgrind-") as folder:
        call = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/callgrind", *command]
        with (Path(folder) / "errors").open("w+") as errors:
            process = subprocess.Popen(
                tie_to_parent(call), env=_clean_environment(folder, variables or {}), cwd=ROOT,
                stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
            )  # fmt: skip
            try:
                use(process.pid)
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=BOUND_S)
            except Exception as problem:
                raise CountError(f"{command[0]}: {problem!r}\n{_read_end(errors.name)}") from problem
            finally:
                process.kill()
                process.wait()
            report = _read_end(errors.name)
    match = _COLLECTED.search(report)
    if match is None:
        raise CountError(f"{command[0]} was not counted:\n{report}")
    return int(match[1])


def _read_end(path: str) -> str:
    return Path(path).read_text(errors="replace")[-3000:]


def _clean_environment(folder: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Nothing of the caller's settings; the hash seed is fixed, so that counts repeat."""
    fixed = {
        "PATH": os.environ["PATH"],
        "HOME": folder,
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": str(ROOT),
    }
    return fixed | dict(variables)
