"""The daemon's own Valkey: its start, and what the log says of it."""

from __future__ import annotations

import asyncio

import structlog

from rfctl.assembly.store import find_embedded_folder
from rfctl.config.loader import Configuration
from rfctl.store.embedded import EmbeddedAddress, EmbeddedServer
from rfctl.store.embedded_folder import EmbeddedFolder
from rfctl.text import mask_url
from rfctl.timing import wait_for_first

_log = structlog.get_logger("daemon")


def build_server(configuration: Configuration) -> EmbeddedServer:
    """Return the server that these settings name, not yet started."""
    return EmbeddedServer(find_embedded_folder(configuration), configuration.settings.redis.embedded_port)


async def start_server(
    server: EmbeddedServer, configuration: Configuration, stopping: asyncio.Event
) -> EmbeddedAddress:
    """Start it, and log how others find it; its password stays in its folder. Raises RfctlError."""
    address = await server.start(stopping)
    folder = EmbeddedFolder(find_embedded_folder(configuration))
    _log.info(
        "embedded_server_started", url=mask_url(address.tcp_url), socket=address.socket_path, pid=address.pid,
        readers=folder.readers_line,
    )  # fmt: skip
    wanted = configuration.settings.redis.embedded_port
    if address.port != wanted:
        _log.warning(
            "embedded_port_taken", wanted=wanted, port=address.port,
            next="end the other program, or set redis.embedded_port: the line for readers finds the port in store.url",
        )  # fmt: skip
    return address


async def watch_server(server: EmbeddedServer, stopping: asyncio.Event) -> None:
    """Return once `stopping` is set. Raises EmbeddedServerError when the server has ended before."""
    await wait_for_first(server.wait_until_ended(), stopping.wait())
    if not stopping.is_set():
        raise server.explain_end()
