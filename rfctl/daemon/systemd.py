"""Notices for systemd: how the daemon starts, reloads, works and stops, if the manager asks for them.

Each is one datagram to $NOTIFY_SOCKET (sd_notify(3)); a name that begins with @ is abstract.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Iterator, Mapping

from rfctl.daemon.exit_limit import LIMIT_S
from rfctl.errors import RfctlError, SettingsError
from rfctl.text import mask_urls, visible

_EXTEND_S, _EXTEND_EVERY_S = 60, 10.0
"""By how much a start asks for more time, and how often: to take older data along may take minutes."""


class Notifier:
    """Sends notices to the service manager that started this process, if it asks for them."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        path = variables.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self._is_start_over = False
        self._status = self._refusal = ""

    def _send(self, *lines: str) -> None:
        """Send `NAME=value` lines in one datagram; nothing fails if the manager is gone."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
                out.setblocking(False)
                out.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            return

    def notify_ready(self) -> None:
        """Tell the manager that the start is over."""
        self._is_start_over = True
        self._send("READY=1")

    def notify_status(self, status: str) -> None:
        """Tell the manager in a line how the daemon is, for `systemctl status`."""
        self._status = status
        self._send(self._build_status())

    def _build_status(self) -> str:
        refusal = (
            f"the last reload was refused, the old settings stay: {self._refusal}" if self._refusal else ""
        )
        return f"STATUS={visible('; '.join(filter(None, (self._status, refusal))))}"

    def notify_reloading(self) -> None:
        """Tell the manager that a reload begins, and when (systemd needs the time from 253 on).

        Nothing is told during the start: the manager would take the end of the reload for the end of the start.
        """
        if self._is_start_over:
            self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def notify_reloaded(self, refusal: str = "") -> None:
        """Tell the manager that a reload has ended; `refusal` says why the settings were refused, if they were."""
        self._refusal = refusal
        ready = ["READY=1"] if self._is_start_over else []
        self._send(*ready, self._build_status())

    def feed_watchdog(self) -> None:
        """Tell the manager that the work goes on. The scheduler's own turn calls it, so that a stuck loop is noticed."""
        self._send("WATCHDOG=1")

    def notify_stopping(self) -> None:
        """Tell the manager that the daemon stops, and how long that may take, whatever its unit says."""
        status = "STATUS=stopping: it answers what is in hand, and hands over"
        self._send("STOPPING=1", status, _build_extension(LIMIT_S))

    @contextlib.asynccontextmanager
    async def extending_start(self) -> AsyncIterator[None]:
        """Ask for more time again and again, as long as the block runs and the loop turns."""
        extending = asyncio.ensure_future(self._extend())
        try:
            yield
        finally:
            extending.cancel()

    async def _extend(self) -> None:
        while True:
            self._send(_build_extension(_EXTEND_S))
            await asyncio.sleep(_EXTEND_EVERY_S)


@contextlib.contextmanager
def telling_failures(variables: Mapping[str, str]) -> Iterator[None]:
    """Tell the manager why the block cannot go on, if it cannot: `systemctl status` then has it in one line."""
    try:
        yield
    except RfctlError as problem:
        why = problem.problems if isinstance(problem, SettingsError) else [problem.fact]
        Notifier(variables).notify_status(mask_urls(f"failed: {'; '.join(why)}"))
        raise


def _build_extension(within_s: float) -> str:
    return f"EXTEND_TIMEOUT_USEC={int(within_s * 1_000_000)}"
