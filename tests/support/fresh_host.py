"""A host as a page begins it: a systemd with a network of its own, Debian's Redis, a clone, and no rfctl.

The ports and files that the pages name are free there, so a test types their commands as they stand. What comes from the
network is laid down by the host itself, and it says so: see `RULES`.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rfctl import __version__
from tests.support.processes import run
from tests.support.real_systemd import CHECKOUT, NOTIFY_RELOAD_SINCE, RealSystemd
from tests.support.site.blocks import Block
from tests.support.site.reader import STATUSES

PLACE = "/var/lib/program"
CLONE = "/tmp/clone"
REDIS = "redis-server.service"
_PYTHON = f"{PLACE}/python/bin"
_REDIS_UNIT = Path("/usr/lib/systemd/system") / REDIS
_BEGIN = f"""
ip link set lo up
mount -t tmpfs -o mode=755 tmpfs /usr/local
mkdir -p /usr/local/bin
mount -t tmpfs -o mode=700 tmpfs /root
rm -rf /etc/systemd/system /etc/rfctl /etc/tmpfiles.d
mkdir -p /etc/systemd/system {CLONE}
cp -r {PLACE}/checkout/rfctl {CLONE}/rfctl
install -d -o redis -g redis -m 750 /var/lib/redis /var/log/redis
"""
"""The last line is what Debian's package of Redis makes. The clone has what an installation needs of it."""
_ENTRY = f"""#!/bin/sh
export LD_LIBRARY_PATH={PLACE}/python/lib PYTHONPYCACHEPREFIX={PLACE}/cache
exec {{folder}}/bin/python -P -c 'import sys
sys.argv[0] = "{{folder}}/bin/rfctl"
from rfctl.cli import main
main()' "$@"
"""
RULES = {
    r"/bin/pip install ": "packages come from the network, so the host puts a copy of the clone into that environment",
    r"--notify-reload ": "this systemd is older than 253, which knows no notify-reload",
    r"^rfctl serve$": "the service runs already",
}
"""Why a command is not typed, by a pattern that it holds. The second one holds for an old systemd alone."""
_PREPARE = ("PATH=",)
_FILES = "/etc /opt /root /run /tmp /usr/local /var"
_OWN = re.compile(
    r"/(run/(systemd|log|udev|units|etc|redis|mount|credentials)|var/(log|lib/(program|redis|systemd|private$))|tmp/clone)\b"
    r"|.*/systemd-private-"
)
"""What systemd, Redis and the host itself make: nothing of rfctl."""


@dataclass(slots=True)
class Typed:
    """What came of the commands of a block: `left` are those that were not typed, with the rule for each."""

    printed: str = ""
    left: list[str] = field(default_factory=list)


class FreshHost(RealSystemd):
    """Such a host; `type` is its root's shell, in the folder of the clone."""

    place = PLACE
    units = ()
    unit_path = "/etc/systemd/system:/run/units"
    namespaces = "--net"
    more = _BEGIN

    def _write_files(self) -> None:
        if not _REDIS_UNIT.exists() or not Path("/etc/redis/redis.conf").exists():
            pytest.skip("needs the redis-server of Debian, with its unit")
        super()._write_files()
        (self._folder / "units" / REDIS).write_text(_REDIS_UNIT.read_text())

    def prepare(self) -> None:
        """Start Redis, as its package does."""
        self._lines: list[str] = []
        self._is_old = self.version < NOTIFY_RELOAD_SINCE
        self.ctl("start", REDIS)

    def begin_page(self) -> None:
        """Open another shell: what the last one had set is forgotten."""
        self._lines = []

    def follow(self, block: Block) -> Typed:
        """Type the commands of a block. Raises AssertionError when one fails."""
        typed = Typed()
        for command in block.commands:
            if rule := self._find_rule(command):
                typed.left.append(f"not typed: {command}: {rule}")
                if "/bin/pip install" in command:
                    self._lay_down(command.partition("/bin/pip")[0])
            elif command.startswith(_PREPARE):
                self._lines.append(command)
            else:
                typed.printed += self.type(command)
        return typed

    def _find_rule(self, command: str) -> str:
        rules = (words for pattern, words in RULES.items() if re.search(pattern, command))
        rule = next(rules, "")
        return "" if "older than" in rule and not self._is_old else rule

    def type(self, command: str) -> str:
        """Run a command line in a shell, and return what it prints. Raises AssertionError when it fails."""
        variables = {
            "PATH": f"/usr/local/bin:{_PYTHON}:/usr/sbin:/usr/bin:/sbin:/bin",
            "LD_LIBRARY_PATH": f"{PLACE}/python/lib", "HOME": "/root", "LANG": "C.UTF-8", "TERM": "dumb",
        }  # fmt: skip
        script = "\n".join(["set -euo pipefail", f"cd {CLONE}", *self._lines, command])
        done = run([*self.enter, "bash", "-c", script], variables)
        words = command.split()
        allowed = STATUSES.get(words[1], {0}) if words[0] == "rfctl" else {0}
        assert done.returncode in allowed, (
            f"{command}\n{done.returncode}\n{done.stdout}{done.stderr}\n{self.read_journal()[-3000:]}"
        )
        return done.stdout

    def _lay_down(self, folder: str) -> None:
        """Do what pip would: put a copy of the clone into an environment, under the version that its name has."""
        version = folder.rpartition("-")[2]
        [packages] = self.type(f"echo {folder}/lib/python3*/site-packages").split()
        wheel = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"][
            "wheel"
        ]
        copies = [
            f"install -D -m 644 {PLACE}/checkout/{source} {packages}/{target}"
            for source, target in wheel["force-include"].items()
        ]
        steps = (
            f"cp -r rfctl {packages}/rfctl",
            *copies,
            f"sed -i 's/{re.escape(__version__)}/{version}/' {packages}/rfctl/__init__.py",
            f"echo {PLACE}/packages > {packages}/others.pth",
        )
        self.type("\n".join(steps))
        self.write(f"{folder}/bin/rfctl", _ENTRY.format(folder=folder), 0o755)

    def list_files(self) -> set[str]:
        """Return the paths that a page may have made or left."""
        paths = self.type(f"find {_FILES} -xdev -not -type d; find {_FILES} -xdev -type d").splitlines()
        return {path for path in paths if not _OWN.match(path)}
