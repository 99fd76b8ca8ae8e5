"""The folder of the embedded server: its lock, and files that nobody but its user may read."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import stat
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from rfctl.errors import EmbeddedServerError, SettingsError
from rfctl.store.embedded_socket import SOCKET

STATE, URL, LOG, LOCK = "store.json", "store.url", "store.log", "store.lock"
_PRIVATE_FOLDER, _PRIVATE_FILE = 0o700, 0o600


class EmbeddedFolder:
    """One folder, owned by at most one daemon at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    @property
    def readers_line(self) -> str:
        """The line for another shell: rfctl, `redis-cli -u` and workers read the variable. It shows no password."""
        return f"export RFCTL_REDIS__URL=$(cat {shlex.quote(str(self.path.resolve() / URL))})"

    def own(self) -> None:
        """Make the folder if it is not there, and lock it. Raises SettingsError when others may read it, EmbeddedServerError."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=_PRIVATE_FOLDER)
            self._check_private()
            self._lock = _lock(self.path / LOCK)
            self._close_to_others()
        except BlockingIOError:
            raise EmbeddedServerError(
                f"another daemon runs the embedded server in {self.path}",
                next="stop it, or set redis.embedded_dir to another folder",
            ) from None
        except OSError as problem:
            self.release()
            raise EmbeddedServerError(
                f"the state folder {self.path} cannot be used: {problem.strerror}",
                next="set redis.embedded_dir to a folder that you may write",
            ) from None

    def _check_private(self) -> None:
        facts = self.path.stat()
        mode = stat.S_IMODE(facts.st_mode)
        where = f"redis.embedded_dir: the folder {self.path}"
        if facts.st_uid != os.geteuid():
            raise SettingsError(
                [f"{where} belongs to another user, who could read every message"],
                next="set redis.embedded_dir to a folder of your own",
            )
        if mode & 0o077:
            raise SettingsError(
                [f"{where} is open to others (mode {mode:04o}), who could read or change messages"],
                next=f"chmod 700 {shlex.quote(str(self.path))}",
            )

    def _close_to_others(self) -> None:
        """Take the rights of others away from the files of an earlier version, which left them."""
        for folder, _, names in os.walk(self.path):
            for path in (Path(folder), *(Path(folder) / name for name in names)):
                mode = path.lstat().st_mode
                if mode & 0o077 and not stat.S_ISLNK(mode):
                    path.chmod(stat.S_IMODE(mode) & _PRIVATE_FOLDER)

    def release(self) -> None:
        """Let another daemon own the folder; safe to call twice."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def write(self, name: str, text: str) -> None:
        """Write a file that only this user can read, all of it or none."""
        half = self.path / f".{name}"
        half.unlink(missing_ok=True)
        descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE_FILE)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
            file.write(text)
        half.rename(self.path / name)

    def read_state(self) -> dict[str, Any]:
        """Return what the last start has written, or {}. Raises EmbeddedServerError when this user may not read it."""
        try:
            state = json.loads((self.path / STATE).read_text(encoding="utf-8"))
        except PermissionError:
            raise EmbeddedServerError(
                f"the embedded server in {self.path} belongs to another user",
                next="run this command as that user, with sudo -u",
            ) from None
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}

    def open_log(self) -> int:
        """Return a descriptor to append to the server's log."""
        return os.open(self.path / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _PRIVATE_FILE)

    def read_last_words(self) -> str:
        """Return the last line of the server's log."""
        try:
            lines = (self.path / LOG).read_text(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return lines[-1] if lines else "it printed nothing"

    def explain_end(self, fact: str) -> EmbeddedServerError:
        """Return the error for a server that has ended, or did not start: with its last words, or that its disk is full."""
        try:
            is_full = os.statvfs(self.path).f_bavail == 0
        except OSError:
            is_full = False
        if is_full:
            step = "make room there, and start again: what it has confirmed is kept"
            return EmbeddedServerError(f"{fact}: the disk of {self.path} is full", next=step)
        return EmbeddedServerError(f"{fact}: {self.read_last_words()}", next=f"see {self.path / LOG}")


def _lock(path: Path) -> int:
    """Return a descriptor that holds the lock. Raises BlockingIOError when another process has it, or OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE_FILE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def find_folder(url: str) -> EmbeddedFolder | None:
    """Return the folder of an embedded server by the URL of its socket; None for another URL, and for a socket elsewhere."""
    parts = urlsplit(url)
    path = Path(unquote(parts.path))
    if parts.scheme != "unix" or path.name != SOCKET:
        return None
    folder = EmbeddedFolder(path.parent)
    try:
        (folder.path / URL).stat()
    except FileNotFoundError:
        return None
    except OSError:
        return folder  # another user's
    return folder
