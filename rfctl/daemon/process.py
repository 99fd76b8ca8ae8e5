"""One daemon as a process: from its start until it is told to stop, and out."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable

import structlog

from rfctl.config.loader import Configuration
from rfctl.daemon.daemon import Daemon

_log = structlog.get_logger("daemon")


async def _leave() -> None:
    """End the process although something of another's does not end: what it was at is still in Redis."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        await asyncio.wait(others, timeout=0.3)
    tasks = [task.get_name() for task in others if not task.done()]
    threads = [
        one.name for one in threading.enumerate() if one is not threading.main_thread() and not one.daemon
    ]
    if tasks or [name for name in threads if not name.startswith("asyncio_")]:
        _log.warning("threads_abandoned", tasks=len(tasks), threads=threads)
        sys.stdout.flush()
        os._exit(0)


async def run_process(configuration: Configuration, load: Callable[[], Configuration]) -> None:
    """Run a daemon until it is told to stop; `load` reads the settings anew on SIGHUP.

    Raises RfctlError when it cannot start or a part fails.
    """
    daemon = Daemon(configuration, load)
    daemon.obey_signals()
    await daemon.start()
    await daemon.wait()
    await daemon.stop()
    await _leave()
