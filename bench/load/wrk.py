"""Runs wrk for some seconds against a URL, and checks the answers."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError
from tests.support.parents import tie_to_parent

SCRIPT = Path(__file__).parent / "requests.lua"
PHONES = 10_000


class LoadError(BenchError):
    """The load could not be made: wrk is missing, or it has failed."""


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk did. Times are µs; `cpu_s` is its own CPU time. `wrong` requests got no 2xx, or no answer."""

    requests: int
    seconds: float
    p50_us: int
    p99_us: int
    max_us: int
    wrong: int
    cpu_s: float

    @property
    def acknowledged(self) -> int:
        """The requests that got a 2xx."""
        return self.requests - self.wrong


def run_wrk(
    url: str, connections: int, seconds: float, *, form: str = "generic", prefix: str = "m", phones: int = PHONES,
    messages: int = 1, delay_ms: float = 0, header: str = "",
) -> Load:  # fmt: skip
    """Load a URL from so many connections. `form` and the rest are in requests.lua. Raises LoadError."""
    command = [
        "wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{max(1, round(seconds))}s",
        "--timeout", "10s", "--script", str(SCRIPT), url, "--", form, prefix, str(phones), str(messages), str(delay_ms),
        *([header] if header else []),
    ]  # fmt: skip
    try:
        process = subprocess.Popen(
            tie_to_parent(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    except FileNotFoundError:
        raise LoadError("wrk is not installed (Debian: apt-get install wrk)") from None
    assert process.stdout is not None
    output = process.stdout.read()
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return parse_load(output, usage.ru_utime + usage.ru_stime)


def parse_load(output: str, cpu_s: float) -> Load:
    """Return what wrk and its script printed. Raises LoadError for anything else."""
    line = output.rstrip().rpartition("\n")[2]
    try:
        done = json.loads(line)
        return Load(
            requests=done["requests"], seconds=done["duration_us"] / 1e6, p50_us=done["p50_us"], p99_us=done["p99_us"],
            max_us=done["max_us"], wrong=done["status"] + done["failed"], cpu_s=cpu_s,
        )  # fmt: skip
    except (ValueError, KeyError, TypeError):
        raise LoadError(f"wrk failed: {output[-500:]}") from None
