"""Findings about this host: files, limits, kernel and unit."""

from __future__ import annotations

from collections.abc import Iterator

from rfctl.observe.examination import Examination
from rfctl.observe.facts import HostFacts
from rfctl.observe.finding import Finding

_FEW_FILES = 1024


def find_host_faults(examination: Examination) -> Iterator[Finding]:
    """Find what is wrong on this host."""
    host = examination.host
    if host is None:
        return
    for path in host.open_files:
        fact = f"{path} holds secrets, and every user of this host can read it"
        yield Finding("secrets_readable", "warning", path, fact, f"chmod o-r {path}", set_by=path)
    if host.ignored_url and examination.shell is not None:
        fact = f"REDIS_URL is {host.ignored_url}, and rfctl does not use it: redis.url is {examination.shell.redis}"
        fix = "unset REDIS_URL, or set RFCTL_REDIS__URL"
        yield Finding("variable_ignored", "warning", "REDIS_URL", fact, fix, "variable REDIS_URL")
    yield from _find_limits(host)
    yield from _find_differing_units(host)


def _find_differing_units(host: HostFacts) -> Iterator[Finding]:
    for path, lacks in host.units.items():
        if lacks:
            name = path.rpartition("/")[2]
            kind = "socket" if name.endswith(".socket") else "unit"
            option = " --template" if "@" in name else ""
            fact = f"{path} lacks what the {kind} of this version has: {', '.join(lacks)}"
            fix = f"rfctl export {kind}{option} > {path}; systemctl daemon-reload; {_build_restart(name)}"
            yield Finding("unit_differs", "warning", name, fact, fix, set_by=path)


def _build_restart(unit: str) -> str:
    """Return how to restart this unit: a socket does not start while its service runs without it."""
    name, _, kind = unit.replace("@", "@NAME").rpartition(".")
    if kind == "service":
        return f"systemctl restart {name}"
    return f"systemctl stop {name}.socket {name}; systemctl start {name}.socket {name}"


def _find_limits(host: HostFacts) -> Iterator[Finding]:
    for pid, files in host.max_files.items():
        if files < _FEW_FILES:
            fact = f"daemon {pid} may open {files} files: so many connections and sinks together"
            yield Finding(
                "files_limited", "warning", str(pid), fact, "LimitNOFILE=65536 in its unit, or ulimit -n"
            )
    if host.overcommit == "0":
        fact = "vm.overcommit_memory is 0: Redis on this host may fail to save while memory is half full"
        yield Finding(
            "overcommit_disabled", "warning", "", fact, "sysctl vm.overcommit_memory=1 (and in /etc/sysctl.d)"
        )
    if host.huge_pages == "always":
        fact = "transparent huge pages are on: Redis on this host pauses and takes more memory while it saves"
        fix = "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"
        yield Finding("huge_pages_enabled", "warning", "", fact, fix)
