"""What libraries and Python itself have to say, as lines of our log: asyncio, warnings, threads, destructors.

Left alone they write text of their own to stderr, between lines of JSON.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from typing import Any

import structlog

_log = structlog.get_logger("library")


class _Bridge(logging.Handler):
    """Passes each record on to structlog. A log call must not raise: what fails here is dropped."""

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(Exception):
            fields: dict[str, Any] = {"component": record.name, "text": record.getMessage().strip()}
            if record.exc_info and record.exc_info[1] is not None:
                fields |= {"problem": repr(record.exc_info[1]), "exc_info": record.exc_info}
            if record.levelno >= logging.ERROR:
                _log.error("library_reported", **fields)
            else:
                _log.warning("library_reported", **fields)


def bridge_library_logs() -> None:
    """Make lines of our log of all warnings and errors that this process would write to stderr by itself."""
    root = logging.getLogger()
    root.handlers = [_Bridge(logging.WARNING)]
    logging.captureWarnings(True)
    sys.unraisablehook = _on_unraisable
    threading.excepthook = _on_thread_failure


def _on_unraisable(problem: sys.UnraisableHookArgs) -> None:
    text = problem.err_msg or "an error that nobody can catch"
    with contextlib.suppress(Exception):
        _log.error("library_reported", component="python", text=text, problem=repr(problem.exc_value))


def _on_thread_failure(problem: threading.ExceptHookArgs) -> None:
    name = problem.thread.name if problem.thread else "a thread"
    with contextlib.suppress(Exception):
        _log.error(
            "library_reported", component="thread", text=f"{name} failed", problem=repr(problem.exc_value)
        )
