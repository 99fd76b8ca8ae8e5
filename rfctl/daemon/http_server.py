"""The HTTP server: connections with bounds, and a stop that answers what is in hand and then ends.

Of uvicorn it takes the protocol. uvicorn's own server would replace the signal handlers, and waits at its end for
clients that may never go.
"""

from __future__ import annotations

import asyncio
import resource
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from rfctl.daemon.http_bounds import Limits, OnReject
from rfctl.daemon.http_hot import make_protocol
from rfctl.daemon.http_protocol import Protocol
from rfctl.daemon.listener import format_url, remove_file
from rfctl.ingest.receiver import Receiver

_ANSWER_S, _CLOSE_S = 2.0, 0.3
_PAUSES, _PAUSE_S = 15, 0.02
"""A stop takes requests of those who are connected for 0.3 s, and looks so often whether all have gone."""
_CALLBACKS = (
    "connection_made", "connection_lost", "get_buffer", "buffer_updated", "eof_received", "pause_writing",
    "resume_writing",
)  # fmt: skip
_OTHER_FILES = 128
"""So many open files stay for Redis, sinks and the log, however many clients connect."""


def _clamp_connections(limits: Limits) -> Limits:
    open_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if open_files == resource.RLIM_INFINITY:
        return limits
    return replace(limits, connections=max(16, min(limits.connections, open_files - _OTHER_FILES)))


class Wire(asyncio.BufferedProtocol):
    """What the event loop knows of a connection.

    uvicorn's protocol is an `asyncio.Protocol`, and uvloop hands such a protocol bytes of its own: they would go past
    the buffer and the bounds of the connection.
    """

    def __init__(self, connection: Protocol) -> None:
        for name in _CALLBACKS:
            setattr(self, name, getattr(connection, name))


class HttpServer:
    """Serves an ASGI app on a socket, from `start` to `stop`. `on_reject` is called with requests that no app sees.

    Plain messages go to the receiver, past the app. `on_stop` ends the answers that would go on for ever.
    """

    def __init__(
        self,
        app: Any,
        listening: socket.socket,
        limits: Limits,
        on_reject: OnReject,
        receiver: Receiver | None = None,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        self._protocol = make_protocol(_clamp_connections(limits), on_reject, receiver)
        self._config = uvicorn.Config(
            app, http=self._protocol, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False,
            proxy_headers=False, limit_concurrency=None,
        )  # fmt: skip
        self._on_stop = on_stop
        self.url = format_url(listening)
        self._socket = listening
        self._state = ServerState()
        self._server: asyncio.Server | None = None
        self._clock: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Accept connections."""
        self._config.load()
        self._tell_time()
        self._server = await asyncio.get_running_loop().create_server(
            self._make_connection, sock=self._socket, backlog=2048
        )

    def _make_connection(self) -> Wire:
        return Wire(self._protocol(config=self._config, server_state=self._state, app_state={}))

    def _tell_time(self) -> None:
        """Put the time into the headers of all answers, every second."""
        self._state.default_headers = [(b"date", formatdate(time.time(), usegmt=True).encode())]
        self._clock = asyncio.get_running_loop().call_later(1, self._tell_time)

    async def _take_last_requests(self) -> None:
        """Take what clients send who are connected: each request is answered, as the last of its connection.

        A connection that is closed at once may have a request on its way, and its client would get no answer.
        """
        self._protocol.stays = False
        for _ in range(_PAUSES):
            await asyncio.sleep(
                _PAUSE_S
            )  # also without any: one that was accepted right now has no protocol yet
            if not self._state.connections:
                break

    async def stop(self) -> None:
        """Accept no more, take last requests for 0.3 s, let requests in hand be answered for 2 s, answer the others with 503, and close all."""
        if self._server is None:
            return
        remove_file(self._socket)
        self._server.close()
        self._on_stop()
        await self._take_last_requests()
        for connection in list(self._state.connections):
            connection.shutdown()
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=_ANSWER_S)
        for task in self._state.tasks:
            task.cancel()
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=_CLOSE_S)
        await asyncio.sleep(0)
        for connection in list(self._state.connections):
            connection.transport.abort()
        if self._clock is not None:
            self._clock.cancel()
        self._server = None
