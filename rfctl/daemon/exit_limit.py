"""The last means to end in time: a thread that ends the process, whatever the event loop hangs on."""

from __future__ import annotations

import os
import threading

import structlog

from rfctl.observe import logging as logs

_log = structlog.get_logger("daemon")
LIMIT_S = 4.8
"""After a signal the process lives no longer than this: what was acknowledged is in Redis."""
_FLUSH_S = 0.1


def limit_exit(within_s: float, status: int = 0) -> threading.Timer:
    """End the process with this status after so many seconds, unless it has ended by then. Returns what can be cancelled."""
    timer = threading.Timer(within_s, _exit, (within_s, status))
    timer.name, timer.daemon = "rfctl-exit-limit", True
    timer.start()
    return timer


def _exit(within_s: float, status: int) -> None:
    _log.warning(
        "stop_cut_short", limit_s=within_s, next="the rest is in Redis, and is handed over at the next start"
    )
    logs.flush(_FLUSH_S)
    os._exit(status)
