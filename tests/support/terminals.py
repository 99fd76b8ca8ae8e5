"""A process on a terminal of its own, and when each piece of its output came."""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import threading
import time
from collections.abc import Mapping, Sequence

from tests.support.processes import Process
from tests.support.waiting import PATIENCE_S, wait_until

_ON_ONE_STREAM = ["sh", "-c", 'exec "$@" 2>&1', "sh"]
_LOOK_S = 0.05


class Terminal(Process):
    """A process whose stdout and stderr are a terminal of this size; it ends like any other."""

    def __init__(
        self, command: Sequence[str], variables: Mapping[str, str], *, columns: int = 80, rows: int = 24
    ) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.pieces: list[tuple[float, str]] = []
        """Each piece of the output, and when it came, in seconds of a steady clock."""
        kept = {name: value for name, value in variables.items() if name != "COLUMNS"}
        with os.fdopen(theirs, "wb") as stdout:
            super().__init__([*_ON_ONE_STREAM, *command], {**kept, "TERM": "xterm-256color"}, stdout=stdout)
        self._is_closing = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def text(self) -> str:
        """All of the output so far, with line ends as a file has them."""
        return "".join(text for _, text in self.pieces).replace("\r\n", "\n")

    def wait_for_line(self, start: str) -> str:
        """Return the first whole line that begins so, now or later. Raises AssertionError when none comes in time."""

        def find() -> str:
            return next((line for line in self.text.split("\n")[:-1] if line.startswith(start)), "")

        return str(wait_until(find))

    def wait_for_end(self, within_s: float = PATIENCE_S) -> int:
        """Wait until the process has ended and all of its output is read, and return its exit status."""
        status = self.wait(within_s)
        self._thread.join(PATIENCE_S)
        return status

    def close(self) -> None:
        """Close the terminal, as a window is closed, and send what the kernel and the shell send then."""
        self._close()
        for _ in range(2):
            self.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        """End it, and close the terminal; safe to call twice."""
        super().kill()
        self._close()

    def _close(self) -> None:
        self._is_closing = True
        self._thread.join(PATIENCE_S)
        with contextlib.suppress(OSError):
            os.close(self._ours)
        self._ours = -1

    def _read(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        with contextlib.suppress(OSError):  # nobody has the other end any more
            while not self._is_closing:
                if not select.select([self._ours], [], [], _LOOK_S)[0]:
                    continue  # a read that waits would keep the terminal open
                self.pieces.append((time.monotonic(), decoder.decode(os.read(self._ours, 65536))))
