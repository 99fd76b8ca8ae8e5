"""A daemon as a process: from its start to its exit."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import structlog

from rfctl.config.loader import Configuration
from rfctl.daemon.daemon import Daemon
from rfctl.daemon.hangup import TerminalWatch
from rfctl.daemon.library_logs import bridge_library_logs
from rfctl.daemon.memory import return_large_blocks
from rfctl.daemon.own_files import read_own_files
from rfctl.daemon.passed_sockets import take_passed_sockets
from rfctl.daemon.systemd import Notifier
from rfctl.daemon.tracing import start_tracing, stop_tracing
from rfctl.observe import logging as logs

_log = structlog.get_logger("daemon")
FLUSH_S = 0.3
"""How long the end of the process waits for its last log lines."""


async def _exit_if_something_hangs() -> None:
    """End the process although a task or thread of a library goes on. Its message is still in Redis."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        await asyncio.wait(others, timeout=0.3)
    tasks = [task.get_name() for task in others if not task.done()]
    threads = await _wait_for_threads()
    if tasks or threads:
        _log.warning("threads_abandoned", tasks=len(tasks), threads=threads)
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        logs.flush(FLUSH_S)
        os._exit(0)


async def _wait_for_threads() -> list[str]:
    """Return the names of the threads that hold the process up, also a moment later."""
    for _ in range(30):
        threads = [
            thread.name
            for thread in threading.enumerate()
            if thread is not threading.main_thread() and not thread.daemon
        ]
        if not threads:
            break
        await asyncio.sleep(0.01)
    return threads


async def run_process(
    configuration: Configuration, load: Callable[[], Configuration], *, is_rolling_out: bool = False
) -> None:
    """Run a daemon until a signal stops it; `load` reads the settings anew on SIGHUP.

    With `is_rolling_out` it starts also beside daemons whose settings do not go with its own.

    Raises RfctlError when it cannot start, and what a component raised.
    """
    bridge_library_logs()
    return_large_blocks()
    pool = ThreadPoolExecutor()
    asyncio.get_running_loop().set_default_executor(pool)
    read_own_files()
    tracing = start_tracing(configuration.environment.variables)
    variables = configuration.environment.variables
    passed = take_passed_sockets(variables)
    daemon = Daemon(configuration, load, is_rolling_out=is_rolling_out, tracing=tracing, passed=passed)
    daemon.install_signal_handlers()
    TerminalWatch(daemon).install()
    try:
        try:
            async with Notifier(variables).extending_start():
                await daemon.start()
            await daemon.wait_for_stop()
            await daemon.stop()
        finally:
            stop_tracing(tracing)
        pool.shutdown(wait=False)  # its idle threads end now, so whatever is left hangs
        await _exit_if_something_hangs()
    finally:
        logs.flush(FLUSH_S)
