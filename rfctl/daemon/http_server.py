"""The HTTP server: uvicorn with deadlines, and without its signal handlers.

uvicorn waits for ever for a header or a body that does not come, and half-open clients delay its exit. Here each
request has deadlines, and so has the stop.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Any

import uvicorn
from uvicorn._types import ASGIApplication
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from rfctl.errors import CannotListenNowError, ListenError

_INVALID_ADDRESS = frozenset({errno.EINVAL, errno.EAFNOSUPPORT})
_NOT_PERMITTED = frozenset({errno.EACCES, errno.EPERM})


def make_protocol(header_s: float, body_s: float) -> type[HttpToolsProtocol]:
    """Return uvicorn's protocol with a deadline for each request's header and body (s)."""

    class Protocol(HttpToolsProtocol):
        _deadline: asyncio.TimerHandle | None = None

        def _set_deadline(self, within_s: float | None) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
            self._deadline = None if within_s is None else self.loop.call_later(within_s, self._abort)

        def _abort(self) -> None:
            if not self.transport.is_closing():
                self.transport.abort()

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._set_deadline(header_s)

        def connection_lost(self, exc: Exception | None) -> None:
            self._set_deadline(None)
            super().connection_lost(exc)

        def on_message_begin(self) -> None:
            self._set_deadline(header_s)
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self._set_deadline(body_s)
            super().on_headers_complete()

        def on_message_complete(self) -> None:
            self._set_deadline(None)
            super().on_message_complete()

    return Protocol


def bind_socket(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one. Raises ListenError."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, proto)
    except (OSError, UnicodeError) as problem:  # UnicodeError: a label of the name is empty or too long
        raise _explain_failure(host, port, problem) from None
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2048)
        listening.setblocking(False)
    except OSError as problem:
        listening.close()
        raise _explain_failure(host, port, problem) from None
    return listening


def _explain_failure(host: str, port: int, problem: OSError | UnicodeError) -> ListenError:
    code = problem.errno if isinstance(problem, OSError) else None
    fact = f"cannot listen on {host}:{port}: {getattr(problem, 'strerror', '') or problem}"
    unresolved = isinstance(problem, socket.gaierror) and code != socket.EAI_AGAIN
    if unresolved or isinstance(problem, UnicodeError) or code in _INVALID_ADDRESS:
        return ListenError(fact, next="set http.host to an address of this host, 127.0.0.1 or 0.0.0.0")
    if code in _NOT_PERMITTED:
        step = "ports below 1024 need CAP_NET_BIND_SERVICE: grant it, or set http.port to another"
        return ListenError(fact, next=step)
    return CannotListenNowError(fact, next=_suggest_next_step(code, port))


def _suggest_next_step(code: int | None, port: int) -> str:
    if code == errno.EADDRINUSE:
        return f"`ss -ltnp 'sport = :{port}'` shows who has it: end that one, or set http.port"
    if code == errno.EADDRNOTAVAIL:
        return "`ip address` shows the addresses that there are now: wait for this one, or set http.host"
    return "try again; or set http.host and http.port"


def format_url(listening: socket.socket) -> str:
    """Return the address of a listening socket as a URL."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class HttpServer:
    """Serves one ASGI app on one socket, from `start` to `stop`. The deadlines are for a request's header and body (s)."""

    def __init__(self, app: Any, listening: socket.socket, *, header_s: float, body_s: float) -> None:
        application: ASGIApplication = app
        config = uvicorn.Config(
            application,
            http=make_protocol(header_s, body_s),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=2,
            timeout_keep_alive=15,
            limit_concurrency=10_000,
        )
        self.url = format_url(listening)
        self._socket = listening
        self._server = uvicorn.Server(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Accept connections, and return once requests are served."""
        # `serve` would replace our signal handlers, `_serve` does not.
        self._task = asyncio.create_task(self._server._serve([self._socket]))
        # uvicorn tells that it has started only by this flag: it offers no event, and no callback.
        while not self._server.started and not self._task.done():  # noqa: ASYNC110
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Accept no more, let open requests be answered for 2 s, then close every connection."""
        if self._task is None:
            return
        self._server.should_exit = True
        for connection in list(self._server.server_state.connections):
            if not connection.headers:  # type: ignore[union-attr]
                connection.transport.abort()  # no request came: there is nothing to answer
        done, _ = await asyncio.wait({self._task}, timeout=2.5)
        if not done:
            self._task.cancel()
        self._socket.close()
