"""The hierarchies of cgroups that are mounted here, for a systemd that needs its own."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """A mounted hierarchy of cgroups, and the command that mounts it anew for the processes of a namespace."""

    place: Path
    mount: str


def list_hierarchies() -> list[Hierarchy]:
    """Return those of this machine, in the order in which they were mounted."""
    controllers = {line.split()[0] for line in Path("/proc/cgroups").read_text().splitlines()[1:]}
    hierarchies = []
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup2":
            hierarchies.append(Hierarchy(Path(place), f"mkdir -p {place}; mount -t cgroup2 cgroup2 {place}"))
        elif kind == "cgroup":
            name = [word for word in options.split(",") if word.startswith("name=")]
            own = ["none", *name] if name else [word for word in options.split(",") if word in controllers]
            mount = f"mkdir -p {place}; mount -t cgroup -o {','.join(own)} cgroup {place}"
            hierarchies.append(Hierarchy(Path(place), mount))
    return hierarchies


def remove_cgroup(place: Path) -> bool:
    """Remove a cgroup and those below it; says whether it is gone. The kernel keeps it until its processes are."""
    for folder, _, _ in os.walk(place, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)  # noqa: PTH106 - the walk gives text
    return not place.exists()
