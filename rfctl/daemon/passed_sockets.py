"""The sockets that systemd has opened for this daemon (sd_listen_fds(3)): a restart closes none of them.

Whoever connects while the daemon is away waits in the socket's row. The address is that of the socket unit, and stands
above `http.host`, `http.port` and `daemon.monitor` of the settings.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rfctl.config.loader import Configuration
from rfctl.config.origin import SettingOrigin
from rfctl.daemon.listener import PassedSocket
from rfctl.errors import ListenError

MONITOR = "monitor"
"""The name (FileDescriptorName=) of the socket for whoever watches the daemon. Any other is the webhook's."""
_FIRST = 3
_FAMILIES = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)


@dataclass(frozen=True, slots=True)
class PassedSockets:
    """The webhook's socket and that of the monitor, None where systemd has passed none."""

    webhook: PassedSocket | None = None
    monitor: PassedSocket | None = None

    @property
    def unit(self) -> str:
        """The name of the webhook's socket, most often its unit's; "" without one."""
        return self.webhook.unit if self.webhook is not None else ""

    def use_addresses(self, configuration: Configuration) -> Configuration:
        """Return these settings with the addresses of the sockets in them, and a notice for each that is hidden so."""
        addresses: list[tuple[str, Any, PassedSocket]] = []
        if (webhook := self.webhook) is not None:
            host, port = webhook.read_address()
            addresses.append(("http.host", host, webhook))
            if port is not None:
                addresses.append(("http.port", port, webhook))
        if self.monitor is not None:
            addresses.append(("daemon.monitor", self.monitor.describe(), self.monitor))
        for name, value, passed in addresses:
            configuration = _set(configuration, name, value, f"{passed.unit} of systemd")
        return configuration


def _set(configuration: Configuration, name: str, value: Any, set_by: str) -> Configuration:
    section, _, field = name.partition(".")
    settings, before = configuration.settings, getattr(getattr(configuration.settings, section), field)
    origins, notices = configuration.origins.get(name, []), list(configuration.notices)
    if origins and before != value:
        notices.append(
            f"{name} is {value}, as {set_by} has it: {before} ({configuration.set_by(name)}) is not used"
        )
    inner = getattr(settings, section).model_copy(update={field: value})
    return replace(
        configuration,
        settings=settings.model_copy(update={section: inner}),
        origins={**configuration.origins, name: [*origins, SettingOrigin(set_by, value)]},
        notices=notices,
    )


def take_passed_sockets(variables: Mapping[str, str], *, first: int = _FIRST) -> PassedSockets:
    """Return the sockets that were passed to this process, from the file `first` on. Raises ListenError.

    They are for this process alone: no program that it starts inherits them.
    """
    if variables.get("LISTEN_PID") != str(os.getpid()):
        return PassedSockets()
    count = int(variables.get("LISTEN_FDS", "0"))
    names = [name or "socket" for name in variables.get("LISTEN_FDNAMES", "").split(":")]
    names += ["socket"] * (count - len(names))
    sockets = [_take(first + place, name) for place, name in zip(range(count), names, strict=False)]
    monitors = [passed for passed in sockets if passed.unit == MONITOR]
    webhooks = [passed for passed in sockets if passed.unit != MONITOR]
    return PassedSockets(_choose("webhook", webhooks), _choose(MONITOR, monitors))


def _choose(use: str, sockets: list[PassedSocket]) -> PassedSocket | None:
    if len(sockets) < 2:
        return next(iter(sockets), None)
    addresses = " and ".join(passed.describe() for passed in sockets)
    for passed in sockets:
        passed.close()
    raise ListenError(
        f"systemd passes {len(sockets)} sockets for the {use}: {addresses}",
        next="leave one ListenStream= in its socket unit; [::]:3000 with BindIPv6Only=both takes IPv4 too",
    )


def _take(file: int, name: str) -> PassedSocket:
    """Return the socket of this file number. Raises ListenError when nobody can connect to it."""
    try:
        os.set_inheritable(file, False)
        taken = PassedSocket(fileno=file)
        is_listening = taken.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as problem:
        fact = f"the file {file} ({name}) that systemd passes is no socket: {problem.strerror}"
        raise ListenError(fact, next="let its socket unit have ListenStream= alone") from None
    taken.unit = name
    if taken.family not in _FAMILIES or taken.type != socket.SOCK_STREAM or not is_listening:
        taken.close()
        fact = f"the socket {name} that systemd passes takes no connections"
        raise ListenError(fact, next="let its socket unit have ListenStream= and Accept=no")
    taken.setblocking(False)
    return taken
