"""Notices for systemd: READY, STATUS, WATCHDOG and STOPPING, if it asks for them.

Each is one datagram to $NOTIFY_SOCKET (sd_notify(3)); a name that begins with @ is abstract.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping

from rfctl.text import visible


class Notifier:
    """Sends notices to the service manager that started this process, if it asks for them."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        path = variables.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path

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
        self._send("READY=1")

    def notify_status(self, status: str) -> None:
        """Tell the manager in a line how the daemon is, for `systemctl status`."""
        self._send(f"STATUS={visible(status)}")

    def feed_watchdog(self) -> None:
        """Tell the manager that the work goes on. The scheduler's own turn calls it, so that a stuck loop is noticed."""
        self._send("WATCHDOG=1")

    def notify_stopping(self) -> None:
        """Tell the manager that the daemon stops."""
        self._send("STOPPING=1")
