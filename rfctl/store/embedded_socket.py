"""A short folder for the socket of an embedded server whose state folder has too long a path.

A daemon that is killed cannot remove it, so the next one does. Each daemon holds a lock on its own folder, and the
kernel takes the lock away with the process: a folder without a lock is nobody's.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from pathlib import Path

SOCKET = "store.sock"
_PREFIX = "rfctl-socket-"


class SocketFolder:
    """A folder among the temporary files, which its user alone may enter. It is locked until it is removed."""

    def __init__(self) -> None:
        """Make the folder. Raises OSError."""
        self.path, self._lock = _make_locked()

    def remove(self) -> None:
        """Remove it with the socket; safe to call twice."""
        _remove(self.path)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def remove_orphans() -> None:
    """Remove the folders that this user's daemons left when they were killed. What cannot be removed stays."""
    for path in sorted(Path(tempfile.gettempdir()).glob(f"{_PREFIX}*")):
        with contextlib.suppress(OSError):
            lock = _lock(path)
            try:
                _remove(path)
            finally:
                os.close(lock)


def _make_locked() -> tuple[Path, int | None]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        try:
            lock = _lock(path)
        except (BlockingIOError, FileNotFoundError):
            continue  # another daemon has taken it for an orphan, before it was locked
        except OSError:
            return path, None  # no lock can be had here, and so nobody takes it for an orphan
        if path.exists():
            return path, lock
        os.close(lock)


def _lock(path: Path) -> int:
    """Return a descriptor that holds the lock of a folder. Raises BlockingIOError when it is locked, or OSError.

    PermissionError: the folder is another user's. A symbolic link is no folder.
    """
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.fstat(folder).st_uid != os.geteuid():
            raise PermissionError
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(folder)
        raise
    return folder


def _remove(path: Path) -> None:
    """Remove a folder with its socket, and no folder with anything else."""
    with contextlib.suppress(OSError):
        (path / SOCKET).unlink(missing_ok=True)
        path.rmdir()
