"""Which machine and which versions the figures are of, in general words: no names of hosts, and no paths."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

from rfctl import __version__

LIBRARIES = ("redis", "hiredis", "uvicorn", "httptools", "starlette", "msgspec", "uvloop")
_VERSION = re.compile(r"v?(\d+\.\d+[\w.+-]*)")


def describe_machine() -> dict[str, str]:
    """Return the machine and the versions by name."""
    libraries = {name: _library_version(name) for name in LIBRARIES}
    return {
        "machine": f"{os.cpu_count()} cores ({_read_cpu_model()}), {_read_memory_gb()} GB, {platform.system()} {_kernel()}",
        "rfctl": __version__,
        "Python": platform.python_version(),
        **{name: version for name, version in libraries.items() if version},
        "redis-server": _program_version("redis-server", "--version"),
        "Node": _program_version("node", "--version"),
        "wrk": _program_version("wrk", "--version"),
    }


def _read_cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _read_memory_gb() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9)


def _kernel() -> str:
    return ".".join(platform.release().split(".")[:2])


def _library_version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _program_version(name: str, option: str) -> str:
    if shutil.which(name) is None:
        return "none"
    done = subprocess.run([name, option], capture_output=True, text=True, check=False)
    match = _VERSION.search(done.stdout + done.stderr)
    return match[1] if match else "?"
