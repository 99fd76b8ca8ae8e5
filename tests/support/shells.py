"""Real shells on a terminal, for what happens at TAB."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.parents import tie_to_parent
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
FILES = {
    name: ROOT / "completions" / file
    for name, file in (("bash", "rfctl.bash"), ("zsh", "_rfctl"), ("fish", "rfctl.fish"))
}

_COMMAND = """\
#!/bin/sh
if [ -n "$_RFCTL_COMPLETE" ]; then
  echo asked >> "$ASKED"
  exec {python} -m rfctl "$@"
fi
printf '%s\\n' "rfctl $*" >> "$RAN"
"""


class Shell:
    """A shell on a terminal of its own, in which `rfctl` writes down its words: what TAB made of what was typed."""

    def __init__(self, name: str, program: str, folder: Path) -> None:
        self._folder = folder
        self._ran, self._asked = folder / "ran", folder / "asked"
        for file in (self._ran, self._asked):
            file.touch()
        self._write_command()
        ours, theirs = pty.openpty()
        self._terminal = ours
        self.screen = bytearray()
        # fish wants the terminal to be its own
        command = tie_to_parent(["setsid", "--ctty", program, *getattr(self, f"_prepare_{name}")()])
        self._process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=self._environment(), cwd=folder
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _write_command(self) -> None:
        command = self._folder / "bin" / "rfctl"
        command.parent.mkdir()
        command.write_text(_COMMAND.format(python=sys.executable))
        command.chmod(0o755)

    def _environment(self) -> dict[str, str]:
        return {
            "HOME": str(self._folder), "ZDOTDIR": str(self._folder), "XDG_CONFIG_HOME": str(self._folder), "TERM": "dumb",
            "PATH": f"{self._folder / 'bin'}:/usr/bin:/bin", "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8",
            "RAN": str(self._ran), "ASKED": str(self._asked),
        }  # fmt: skip

    def _prepare_bash(self) -> list[str]:
        (self._folder / "bashrc").write_text(f"source {FILES['bash']}\n")
        return ["--noprofile", "--rcfile", str(self._folder / "bashrc"), "-i"]

    def _prepare_zsh(self) -> list[str]:
        """Install the file as Debian's packages do: zsh finds it by its first line."""
        place = self._folder / "site-functions"
        place.mkdir()
        (place / "_rfctl").symlink_to(FILES["zsh"])
        lines = f"fpath=({place} $fpath)\nautoload -Uz compinit\ncompinit -u -D\nzstyle ':completion:*' insert-tab false\n"
        (self._folder / ".zshrc").write_text(lines)
        return ["-d", "-i"]

    def _prepare_fish(self) -> list[str]:
        return ["--no-config", "--interactive", "--init-command", f"source {FILES['fish']}"]

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while chunk := os.read(self._terminal, 4096):
                self.screen += chunk

    def type_line(self, keys: str) -> str:
        """Type keys and Enter. Returns the line that the shell then ran."""
        before = len(self._list_ran())
        os.write(self._terminal, keys.encode() + b"\r")
        wait_until(lambda: len(self._list_ran()) > before)
        return self._list_ran()[before]

    def _list_ran(self) -> list[str]:
        return self._ran.read_text().splitlines()

    def count_asked(self) -> int:
        """Return how often the shell has asked rfctl."""
        return len(self._asked.read_text().splitlines())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._terminal)
        self._reader.join(10)
