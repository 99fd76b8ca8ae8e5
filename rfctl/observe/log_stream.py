"""Writes the lines of the log in a thread of its own: a reader that is gone or asleep stops nobody.

A pipe whose reader does not read blocks every write to it, and a full disk refuses every write. The thread takes the
harm. At most `MAX_LINES` lines and `MAX_BYTES` bytes wait for it; what comes on top is lost, and counted.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TextIO

MAX_LINES = 10_000
MAX_BYTES = 4_194_304
_CHUNK = 65_536


class LogStream:
    """One file descriptor, or a stream in memory (which is written at once).

    `on_recovery` is called with a number of lost lines, once a line has come through again.
    """

    def __init__(
        self, target: int | TextIO, *, on_recovery: Callable[[int], None] = lambda _: None,
        max_lines: int = MAX_LINES, max_bytes: int = MAX_BYTES,
    ) -> None:  # fmt: skip
        self._target = target
        self._on_recovery = on_recovery
        self._max_lines, self._max_bytes = max_lines, max_bytes
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._writing = False
        self.lost = 0
        self._reported = 0

    def write(self, line: str | bytes) -> None:
        """Take a line without its line feed. Never raises, never waits for the reader.

        While the interpreter ends it takes none: no thread runs any more, and a new one would never begin.
        """
        if sys.is_finalizing():
            self.lost += 1
            return
        text = line if isinstance(line, str) else line.decode(errors="backslashreplace")
        if not isinstance(self._target, int):
            self._write_to_memory(self._target, text)
            return
        data = text.encode("utf-8", "backslashreplace") + b"\n"
        with self._changed:
            if len(self._lines) >= self._max_lines or self._bytes + len(data) > self._max_bytes:
                self.lost += 1
                return
            self._lines.append(data)
            self._bytes += len(data)
            self._changed.notify_all()
            self._start_thread()

    def flush(self, within_s: float) -> None:
        """Wait until every line is written or lost, but no longer than this."""
        with self._changed:
            self._changed.wait_for(lambda: not self._lines and not self._writing, within_s)

    def _write_to_memory(self, stream: TextIO, text: str) -> None:
        try:
            stream.write(text + "\n")
            stream.flush()
        except (OSError, ValueError):  # ValueError: it is closed
            self.lost += 1

    def _start_thread(self) -> None:
        if self._thread is None or not self._thread.is_alive():  # after a fork there is none
            self._thread = threading.Thread(target=self._run, name="rfctl-log", daemon=True)
            with contextlib.suppress(RuntimeError):  # the process ends, or may have no more threads
                self._thread.start()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines)
                line = self._lines.popleft()
                self._bytes -= len(line)
                self._writing = True
            came_through = self._write_all(line)
            with self._changed:
                self.lost += not came_through
                self._writing = False
                missing = self.lost - self._reported if came_through and not self._lines else 0
                self._reported += missing
                self._changed.notify_all()
            if missing:
                self._on_recovery(missing)

    def _write_all(self, line: bytes) -> bool:
        """Return whether the whole line came through. A descriptor that another program made non-blocking is waited for."""
        assert isinstance(self._target, int)  # noqa: S101
        rest = memoryview(line)
        while rest:
            try:
                rest = rest[os.write(self._target, rest[:_CHUNK]) :]
            except BlockingIOError:
                with contextlib.suppress(OSError, ValueError):
                    select.select([], [self._target], [], 1)
                time.sleep(0.001)
            except OSError:
                return False
        return True
