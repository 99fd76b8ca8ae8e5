"""The CPU time and the memory of processes, as /proc has them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def read_cpu_s(pids: Iterable[int]) -> float:
    """Return the CPU time that these living processes have had so far, user and system, s."""
    return sum(parse_cpu_ticks(Path(f"/proc/{pid}/stat").read_text()) for pid in pids) / _TICKS_A_SECOND


def parse_cpu_ticks(stat: str) -> int:
    """Return the ticks of /proc/PID/stat. The name of the program in it may have spaces and parentheses."""
    fields = stat.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def read_rss_mb(pid: int) -> float:
    """Return the memory that a process has now, MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024 / 1e6
