"""What this host says: limits of the daemons' processes, the kernel, the unit, files that are open to others, the disk."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_UNIT_FOLDERS = ("etc/systemd/system", "usr/lib/systemd/system")
_FILES_LINE = re.compile(r"(?m)^Max open files\s+(\d+)\s")
_DIRECTIVE = re.compile(r"(?m)^([A-Z]\w*)=")
_OPTIONAL = frozenset({"LoadCredential", "SetCredential", "Documentation", "Description"})


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk that has a folder. Sizes in bytes."""

    folder: str
    free: int
    total: int


@dataclass(frozen=True, slots=True)
class HostFacts:
    """This host at one moment.

    `open_files` are settings files with secrets that others may read. `ignored_url` is a REDIS_URL that nobody uses, masked.
    `max_files` is how many files each daemon's process may open. `overcommit` and `huge_pages` are those of the kernel,
    read only where Redis is on this host. `units` has the installed units of systemd, each with what ours has besides.
    """

    open_files: tuple[str, ...] = ()
    ignored_url: str = ""
    max_files: Mapping[int, int] = field(default_factory=dict)
    overcommit: str = ""
    huge_pages: str = ""
    units: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Machine:
    """The files of a host, below `root`."""

    root: Path = Path("/")

    def read(self, path: str) -> str:
        """Return the text of a file, "" if it cannot be read."""
        with contextlib.suppress(OSError):
            return (self.root / path).read_text(errors="replace").strip()
        return ""

    def read_max_files(self, pids: Sequence[int]) -> dict[int, int]:
        """Return how many files each of these processes may open, as far as that can be read."""
        limits = {pid: _FILES_LINE.search(self.read(f"proc/{pid}/limits")) for pid in pids}
        return {pid: int(match[1]) for pid, match in limits.items() if match}

    def read_overcommit(self) -> str:
        """Return vm.overcommit_memory."""
        return self.read("proc/sys/vm/overcommit_memory")

    def read_huge_pages(self) -> str:
        """Return the mode of transparent huge pages: always, madvise or never."""
        match = re.search(r"\[(\w+)\]", self.read("sys/kernel/mm/transparent_hugepage/enabled"))
        return match[1] if match else ""

    def compare_units(self, ours: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
        """Return the installed ones of these units, by their paths, with the directives that ours has and they have not.

        `ours` has the text of each unit by its name. Values are left alone: an operator sets some of them. Directives of
        drop-in files count.
        """
        compared = {}
        for name, text in ours.items():
            path = next(
                (f"{folder}/{name}" for folder in _UNIT_FOLDERS if self.read(f"{folder}/{name}")), None
            )
            if path is not None:
                theirs = {*_list_directives(self._read_with_drop_ins(path)), *_OPTIONAL}
                missing = dict.fromkeys(each for each in _list_directives(text) if each not in theirs)
                compared[str(self.root / path)] = tuple(missing)
        return compared

    def _read_with_drop_ins(self, path: str) -> str:
        drop_ins = sorted((self.root / f"{path}.d").glob("*.conf"))
        return "\n".join(
            [self.read(path), *(self.read(str(file.relative_to(self.root))) for file in drop_ins)]
        )


def _list_directives(unit: str) -> Iterator[str]:
    yield from (match[1] for match in _DIRECTIVE.finditer(unit))


def read_disk(folder: str) -> Disk | None:
    """Return the disk that has this folder; None where it cannot be seen."""
    with contextlib.suppress(OSError):
        usage = shutil.disk_usage(folder)
        return Disk(folder, usage.free, usage.total)
    return None
