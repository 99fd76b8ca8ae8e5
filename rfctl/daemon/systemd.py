"""What systemd is told: READY, STATUS, WATCHDOG, STOPPING; nothing when it does not ask.

The protocol is one datagram to $NOTIFY_SOCKET (sd_notify(3)); a name that begins with @ is abstract.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping


class Notifier:
    """Talks to the service manager that started this process, if one did."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        path = variables.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path

    def send(self, *lines: str) -> None:
        """Send `NAME=value` lines in one datagram; a manager that has gone is no reason to fail."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
                out.setblocking(False)
                out.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            return

    def ready(self, status: str) -> None:
        """Say that the service is up."""
        self.send("READY=1", f"STATUS={status}")

    def feed_watchdog(self) -> None:
        """Say that the work goes on: called by the processor's own turn, so that a stuck loop is seen."""
        self.send("WATCHDOG=1")

    def stopping(self) -> None:
        """Say that the service is going down."""
        self.send("STOPPING=1")
