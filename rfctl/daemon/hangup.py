"""A daemon that somebody typed on a terminal ends with that terminal: nobody would see it any more, and it has the port."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine
from typing import Any, Protocol

_STDERR = 2


class Reloading(Protocol):
    """What reads its settings again."""

    def reload(self) -> Coroutine[Any, Any, None]:
        """Read the settings again."""
        ...


class TerminalWatch:
    """Tells a SIGHUP that asks for new settings from the ones that a closed terminal sends, by the kernel and by the shell."""

    def __init__(self, daemon: Reloading) -> None:
        self._daemon = daemon
        self._reloads: set[asyncio.Task[None]] = set()
        self._is_ending = False

    def install(self) -> None:
        """Handle SIGHUP from now on, if stderr is a terminal; else nothing changes."""
        if os.isatty(_STDERR):
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._handle)

    def _handle(self) -> None:
        if os.isatty(_STDERR):
            task = asyncio.ensure_future(self._daemon.reload())
            self._reloads.add(task)
            task.add_done_callback(self._reloads.discard)
        elif not self._is_ending:  # a second SIGTERM would end it before it has handed over
            self._is_ending = True
            os.kill(os.getpid(), signal.SIGTERM)
