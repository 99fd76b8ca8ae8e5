"""A real systemd as PID 1 of its own namespaces, with our units as they are, for the tests that run them.

It sees the machine's files, but /etc, /run, /tmp, /var and /opt are its own, and so are its cgroups. It knows the units
of its own folder alone: the machine's would load modules, and set its kernel and its clock. The program lies in
/opt/rfctl there, made of what runs this test, since ProtectHome= and PrivateTmp= hide the usual places.
When its first process ends, the kernel ends all others and forgets all mounts.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from rfctl.assembly.packaged import UNITS, PackagedFile, read_packaged
from tests.support.cgroups import list_hierarchies, remove_cgroup
from tests.support.leftovers import MARK
from tests.support.parents import tie_to_parent
from tests.support.processes import environment, run
from tests.support.waiting import PATIENCE_S, wait_until

Kind = TypeVar("Kind", bound="RealSystemd")
_SYSTEMD = Path("/lib/systemd/systemd")
_PYTHON = f"python3.{sys.version_info.minor}"
CHECKOUT = Path(__file__).parents[2]
NOTIFY_RELOAD_SINCE = 253
"""The version of systemd that came with `Type=notify-reload`."""
_PROGRAM = """#!/bin/sh
export LD_LIBRARY_PATH=/opt/rfctl/python/lib PYTHONPYCACHEPREFIX=/opt/rfctl/cache
exec /opt/rfctl/python/bin/{python} -P /opt/rfctl/bin/main.py "$@"
"""
_MAIN = """import sys
sys.path[:0] = ["/opt/rfctl/checkout", "/opt/rfctl/packages"]
sys.argv[0] = "/opt/rfctl/bin/rfctl"
from rfctl.cli import main
main()
"""
_COMPILE = """import os, sys
sys.path[:0] = ["/opt/rfctl/checkout", "/opt/rfctl/packages"]
sys.dont_write_bytecode = False
import rfctl.cli.serve, rfctl.daemon.process, rfctl.assembly.check, rfctl.observe
"""
"""Compiles once what each start of the daemon would compile again: its folders are not for it to write."""
_JOURNAL = ("systemd-journald.service", "systemd-journald.socket", "systemd-journald-dev-log.socket")
_TARGETS = ("sysinit", "basic", "sockets", "multi-user", "network-online", "shutdown", "umount")
_BOOT = """
for cgroup in {cgroups}; do
  mkdir "$cgroup/{name}"
  for file in cpuset.cpus cpuset.mems; do
    if [ -f "$cgroup/{name}/$file" ] && [ -f "$cgroup/$file" ]; then cat "$cgroup/$file" > "$cgroup/{name}/$file"; fi
  done
  echo $$ > "$cgroup/{name}/cgroup.procs"
done
exec unshare {namespaces} --pid --fork --kill-child --mount --uts --ipc --cgroup --mount-proc --propagation private \\
  bash -eu {folder}/enter
"""
_ENTER = """
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/etc /run/units /run/program
cp -a /etc/. /run/etc
mkdir -p /run/etc/rfctl /run/etc/systemd/journald.conf.d
printf '[Journal]\\nReadKMsg=no\\n' > /run/etc/systemd/journald.conf.d/own.conf
cp -r {folder}/units/. /run/units
mount -t tmpfs -o mode=755 tmpfs /run/program
cp -r {folder}/program/. /run/program
mkdir -p /run/program/checkout /run/program/packages /run/program/python
mount --bind {checkout} /run/program/checkout
mount --bind {packages} /run/program/packages
mount --bind {prefix} /run/program/python
umount -R /sys/fs/cgroup
{mounts}
mount --bind /run/etc /etc
for place in /tmp /var /opt; do mount -t tmpfs -o mode=755 tmpfs $place; done
chmod 1777 /tmp
mkdir -p /var/lib /var/log /var/cache {place}
mkdir -m 1777 /var/tmp
mount --move /run/program {place}
{more}
mount --make-rshared /
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin SYSTEMD_UNIT_PATH={unit_path} {mark} \\
  {systemd} --system --show-status=0 --unit=multi-user.target
"""


def skip_unless_possible() -> None:
    """Skip the test in words where no systemd can be started."""
    problems = [
        words
        for is_there, words in (
            (os.geteuid() == 0, "needs root"),
            (_SYSTEMD.exists(), "needs systemd (Debian's systemd)"),
            (shutil.which("unshare") and shutil.which("nsenter"), "needs unshare and nsenter (util-linux)"),
            (
                any(os.access(each.place, os.W_OK) for each in list_hierarchies()),
                "needs cgroups that it may write",
            ),
        )
        if not is_there
    ]
    if problems:
        pytest.skip(f"a systemd of its own: {'; '.join(problems)}")


class RealSystemd:
    """The running systemd. `variables` are for commands that the test runs in it."""

    place = "/opt/rfctl"
    """Where the program lies inside."""
    units: Sequence[PackagedFile] = UNITS
    unit_path = "/run/units"
    namespaces = ""
    """Options of `unshare` besides."""
    more = ""
    """Lines for a shell, as root, inside and before systemd starts."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="rfctl-systemd-"))
        self._name = self._folder.name
        self._hierarchies = list_hierarchies()
        self._process: subprocess.Popen[bytes] | None = None
        self.pid = 0
        """Its process, as this machine counts."""

    def start(self) -> None:
        """Start it, and wait until our units can be started. Skips the test in words where this machine refuses."""
        self._write_files()
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                tie_to_parent(["bash", "-eu", str(self._folder / "boot")]), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )  # fmt: skip
        wait_until(lambda: self._find_init() or not self._runs)
        wait_until(
            lambda: not self._runs or self.ask("systemctl", "is-active", "multi-user.target") == "active",
            pause_s=0.2,
        )
        if not self._runs:
            words = (self._folder / "log").read_text(errors="replace").strip()
            pytest.skip(
                f"a systemd of its own: this machine refuses namespaces, mounts or cgroups: {words[-300:]}"
            )
        self.prepare()

    def prepare(self) -> None:
        """Do what comes once, before the tests."""
        self.run(f"{self.place}/bin/compile")

    @property
    def _runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _find_init(self) -> int:
        """Return the process that is the first of its namespace, once there is one; 0 before."""
        assert self._process is not None
        with contextlib.suppress(OSError):
            children = (
                Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
            )
            if children and b"systemd" in Path(f"/proc/{children[0]}/comm").read_bytes():
                self.pid = int(children[0])
        return self.pid

    def _write_files(self) -> None:
        units, program = self._folder / "units", self._folder / "program"
        (program / "bin").mkdir(parents=True)
        (program / "bin/main.py").write_text(_MAIN)
        (program / "bin/compile.py").write_text(_COMPILE)
        (program / "bin/rfctl").write_text(_PROGRAM.format(python=_PYTHON))
        (program / "bin/compile").write_text(_PROGRAM.format(python=_PYTHON).replace("main.py", "compile.py"))
        (program / "bin/compile").chmod(0o755)
        (program / "bin/rfctl").chmod(0o755)
        units.mkdir()
        for ours in self.units:
            (units / ours).write_text(read_packaged(ours))
        for name in _JOURNAL:
            shutil.copy(Path("/usr/lib/systemd/system") / name, units / name)
        wants = f"[Unit]\nWants={' '.join(_JOURNAL)}\n"
        for target in _TARGETS:
            text = wants if target == "multi-user" else "[Unit]\n"
            (units / f"{target}.target").write_text(text + "DefaultDependencies=no\n")
        facts = {
            "folder": self._folder, "name": self._name, "checkout": CHECKOUT, "packages": sysconfig.get_path("purelib"),
            "prefix": sys.base_prefix, "place": self.place,
            "unit_path": self.unit_path, "namespaces": self.namespaces, "more": self.more, "systemd": _SYSTEMD, "mark": f"{MARK}={os.environ.get(MARK, '')}",
            "cgroups": " ".join(str(each.place) for each in self._hierarchies),
            "mounts": "\n".join(["[ -f /sys/fs/cgroup/cgroup.procs ] || mount -t tmpfs tmpfs /sys/fs/cgroup"] * (len(self._hierarchies) > 1) + [each.mount for each in self._hierarchies]),
        }  # fmt: skip
        (self._folder / "boot").write_text(_BOOT.format(**facts))
        (self._folder / "enter").write_text(_ENTER.format(**facts))

    @property
    def enter(self) -> list[str]:
        """The words that run a command inside."""
        return ["nsenter", "-t", str(self.pid), "-m", "-r", "-n", "-u", "-i", "-p", "-C", "--"]

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command inside. Raises AssertionError when it fails."""
        result = run([*self.enter, *command], environment(self._folder))
        assert not check or result.returncode == 0, (
            command,
            result.stdout,
            result.stderr,
            self.read_journal()[-3000:],
        )
        return result

    @property
    def version(self) -> int:
        """Its version, such as 252."""
        return int(self.ask("systemctl", "--version").split()[1])

    def ask(self, *command: str) -> str:
        """Return the first line that a command prints, whatever its status."""
        return (self.run(*command, check=False).stdout.splitlines() or [""])[0]

    def ctl(self, *words: str) -> str:
        """Run systemctl, and return what it prints. Raises AssertionError when it fails."""
        return self.run("systemctl", *words).stdout

    def show(self, unit: str, *names: str) -> list[str]:
        """Return properties of a unit, in this order."""
        lines = self.ctl("show", "-p", ",".join(names), unit).splitlines()
        values = {name: value for name, _, value in (line.partition("=") for line in lines)}
        return [values[name] for name in names]

    def read_journal(self, unit: str = "") -> str:
        """Return what is in the journal, of one unit or of all."""
        of = ["-u", unit] if unit else []
        return self.run("journalctl", "--no-pager", "-o", "cat", *of, check=False).stdout

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file inside."""
        target = Path(f"/proc/{self.pid}/root") / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)

    def remove(self, path: str) -> None:
        """Remove a file inside, if it is there."""
        (Path(f"/proc/{self.pid}/root") / path.lstrip("/")).unlink(missing_ok=True)

    def read_limit(self, unit: str) -> int | None:
        """Return how much memory the kernel gives a unit, bytes; None where it has no cgroup for memory."""
        group = self.show(unit, "ControlGroup")[0].lstrip("/")
        if not group:
            return None
        for place, name in (
            ("memory", "memory.limit_in_bytes"),
            ("", "memory.max"),
            ("unified", "memory.max"),
        ):
            path = Path(f"/proc/{self.pid}/root/sys/fs/cgroup", place, group, name)
            with contextlib.suppress(OSError, ValueError):
                return int(path.read_text())
        return None

    def stop(self) -> None:
        """End it, and all that runs in it, as the power would; leave no file and no cgroup."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_S)
        for hierarchy in self._hierarchies:
            wait_until(partial(remove_cgroup, hierarchy.place / self._name))
        shutil.rmtree(self._folder)


@contextlib.contextmanager
def running(systemd: Kind) -> Iterator[Kind]:
    """Run a systemd for the length of the block. Skips the test in words where that cannot be."""
    try:
        skip_unless_possible()
        systemd.start()
        yield systemd
    finally:
        systemd.stop()


def running_systemd() -> contextlib.AbstractContextManager[RealSystemd]:
    """Run a systemd of its own, with our units, for the length of the block; skips the test where that cannot be."""
    return running(RealSystemd())
