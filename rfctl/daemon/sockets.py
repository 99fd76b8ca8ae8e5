"""What a daemon listens on: for the webhook, and for whoever watches it."""

from __future__ import annotations

import socket
from contextlib import AsyncExitStack
from dataclasses import dataclass

from rfctl.assembly.sources import check_exposure
from rfctl.config.http_settings import HttpSettings
from rfctl.config.settings import Settings
from rfctl.daemon.listener import PassedSocket, bind_socket, remove_file
from rfctl.daemon.passed_sockets import PassedSockets
from rfctl.errors import ListenError


@dataclass(frozen=True, slots=True)
class Sockets:
    """The listening sockets of one daemon; None where its role or its settings want none."""

    webhook: socket.socket | None = None
    monitor: socket.socket | None = None

    @classmethod
    def bind(cls, settings: Settings, passed: PassedSockets | None = None) -> Sockets:
        """Return those that were passed, and else those of the settings, which have the addresses of both.

        Raises ListenError and SettingsError; then none is bound.
        """
        passed = passed or PassedSockets()
        webhook = None
        if settings.daemon.role in ("all", "webhook"):
            check_exposure(settings, _explain_closing(passed.webhook))
            webhook = passed.webhook or _bind_webhook(settings.http)
        elif passed.webhook is not None:
            raise _explain_unserved(settings.daemon.role, passed.webhook)
        try:
            return cls(webhook, passed.monitor or _bind_monitor(settings.daemon.monitor))
        except ListenError:
            cls(webhook).close()
            raise

    def list_bound(self) -> list[socket.socket]:
        """Return those that there are."""
        return [listening for listening in (self.webhook, self.monitor) if listening is not None]

    def close_with(self, stack: AsyncExitStack) -> None:
        """Have them closed at the latest when the stack is left."""
        for listening in self.list_bound():
            stack.callback(listening.close)

    def close(self) -> None:
        """Close them: nobody can connect any more."""
        for listening in self.list_bound():
            remove_file(listening)
            listening.close()


def _bind_webhook(http: HttpSettings) -> socket.socket:
    return bind_socket(http.host, http.port, mode=int(http.socket_mode, 8))


def _explain_closing(passed: PassedSocket | None) -> str:
    """Return what lets this machine alone reach the listener: a socket has the address of its unit, not of the settings."""
    return "http.host = 127.0.0.1" if passed is None else f"ListenStream=127.0.0.1:PORT in {passed.unit}"


def _explain_unserved(role: str, passed: PassedSocket) -> ListenError:
    """Say that nobody would ever answer on this socket: whoever connects would wait for ever."""
    return ListenError(
        f"systemd passes {passed.describe()} ({passed.unit}) for the webhook, and a daemon of the role {role} has none",
        next=f"systemctl disable --now {passed.unit}, or set daemon.role to all or webhook",
    )


def _bind_monitor(address: str) -> socket.socket | None:
    if not address:
        return None
    host, _, port = address.rpartition(":")
    try:
        return bind_socket(host.strip("[]"), int(port))
    except ListenError as problem:
        step = "set daemon.monitor to an address of this host and a port that is free: `ss -ltnp` lists the others"
        raise type(problem)(problem.fact, next=step) from None
