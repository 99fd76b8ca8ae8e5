"""How much CPU time a command of rfctl takes from its start to its end: python -m bench cli"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.callgrind import ROOT
from bench.contenders import open_server, serve_rfctl
from bench.errors import BenchError
from bench.options import build_parser
from bench.results import Results
from tests.support.parents import tie_to_parent
from tests.support.processes import environment

NOTE = "Each command is a process of its own. An empty Python is the limit."


def run_command(command: Sequence[str], home: Path, **variables: str) -> tuple[float, float]:
    """Run a command to its end. Returns its CPU time and how long it took, s. Raises BenchError when it fails."""
    began = time.perf_counter()
    process = subprocess.Popen(
        tie_to_parent(command), env=environment(home, PYTHONPATH=str(ROOT), **variables),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise BenchError(f"{list(command)[-2:]} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - began


def main() -> int:
    """Measure, print and write."""
    options = build_parser("Start-up of commands.", cycles=10, seconds=0).parse_args()
    results = Results("cli", NOTE)
    rfctl = [sys.executable, "-m", "rfctl"]
    server = open_server()
    try:
        with tempfile.TemporaryDirectory(prefix="rfctl-bench-") as folder, serve_rfctl(Path(folder), server):
            commands = {
                "python -c pass": [sys.executable, "-c", "pass"],
                "rfctl --version": [*rfctl, "--version"],
                "rfctl --help": [*rfctl, "--help"],
                "rfctl stats": [*rfctl, "stats", "--redis", server.url],
            }
            for _ in range(options.cycles):
                for name, command in commands.items():
                    cpu, took = run_command(command, Path(folder))
                    results.add({"command": name, "CPU ms": cpu * 1000, "took ms": took * 1000})
    finally:
        server.stop()
    return results.report(options.out, cycles=options.cycles)
