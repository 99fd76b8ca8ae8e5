"""From the settings to a probe: the source by which a daemon takes its message, and which daemons a shell asks."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from rfctl.config.loader import Configuration
from rfctl.config.settings import Settings
from rfctl.observe import Snapshot
from rfctl.observe.facts import ProbeAnswer, ask_probe
from rfctl.observe.facts.probe import SOURCE
from rfctl.sources.contract import ServedSource
from rfctl.sources.registry import GENERIC, SPECS
from rfctl.store import DaemonRecord

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - it is only compared


def build_probe_source(settings: Settings) -> ServedSource:
    """Return the source that reads the message of a probe. Whoever comes to it was let in before."""
    spec = SPECS[GENERIC]
    source = spec.build_source(SOURCE, spec.config(type=GENERIC), settings.batching.max_text_bytes)
    return ServedSource(SOURCE, GENERIC, source, verified=False, insecure=True, in_words=True, json_only=True)


def find_listener(configuration: Configuration) -> str:
    """Return where a daemon with these settings listens on this host: unix:/path, or host:port."""
    http = configuration.settings.http
    return http.host if http.host.startswith("unix:") else _join(http.host, http.port)


def list_probe_listeners(configuration: Configuration, snapshot: Snapshot | None) -> list[str]:
    """Return where daemons of this host can be asked: each living one once, and the address of the settings."""
    return list(dict.fromkeys([*_list_living(snapshot), find_listener(configuration)]))


def _list_living(snapshot: Snapshot | None) -> Iterator[str]:
    for daemon in () if snapshot is None else snapshot.daemons:
        if daemon.host == socket.gethostname() and (listener := find_address(daemon)):
            yield listener


def find_address(daemon: DaemonRecord) -> str:
    """Return where a daemon can be asked from its own host: unix:/path, host:port, or "" if nowhere."""
    url = daemon.listener or daemon.monitor
    if not url or url.startswith("unix:"):
        return url
    parts = urlsplit(url)
    return _join(parts.hostname or "", parts.port or 0)


def _join(host: str, port: int) -> str:
    host = _EVERYWHERE.get(host, host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def probe_daemons(
    configuration: Configuration, snapshot: Snapshot | None, limit_s: float
) -> tuple[ProbeAnswer, ...]:
    """Send a message through each daemon that can be asked here, side by side; no failure is raised."""
    token = configuration.settings.http.admin_token
    listeners = list_probe_listeners(configuration, snapshot)
    answers = await asyncio.gather(*(ask_probe(listener, token, limit_s) for listener in listeners))
    reached = [answer for answer in answers if answer.report is not None]
    own = find_listener(configuration)
    if not reached:
        return tuple(answers)
    return tuple(
        answer
        for answer in answers
        if answer.report is not None or answer.listener != own or _is_living(answer.listener, snapshot)
    )


def _is_living(listener: str, snapshot: Snapshot | None) -> bool:
    return listener in _list_living(snapshot)
