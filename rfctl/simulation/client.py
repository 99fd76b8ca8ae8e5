"""Sends simulated messages the way a provider does: HTTP to the daemon's own listener, signed if need be."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from rfctl.errors import DaemonCannotNowError, DaemonRefusedError, NoDaemonError, RfctlError
from rfctl.simulation.scenario import PlannedMessage
from rfctl.sources.contract import Request
from rfctl.sources.generic.node_form import BATCHED, sign
from rfctl.store.daemons import DaemonRecord

Send = Callable[[str, str, str], Awaitable[None]]
"""Sends one message: phone, text, message id."""

_UNIX = "unix:"


class _UnixConnection(http.client.HTTPConnection):
    """A connection to a Unix socket."""

    path = ""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class _UnixHandler(urllib.request.HTTPHandler):
    """Opens each URL at a Unix socket, whatever host it names."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._connection: Any = type("_Connection", (_UnixConnection,), {"path": path})

    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(self._connection, req)


def base_url(daemon: DaemonRecord) -> str:
    """Return where a daemon's listener is reached from its own host."""
    parts = urlsplit(daemon.listener)
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104
    host = everywhere.get(parts.hostname or "", "")
    return parts._replace(netloc=f"{host}:{parts.port}").geturl() if host else daemon.listener


class Client:
    """Posts to one listener: a URL, or unix:/path."""

    def __init__(self, base: str, secret: str = "") -> None:
        handlers: list[Any] = [urllib.request.ProxyHandler({})]
        if base.startswith(_UNIX):
            handlers.append(_UnixHandler(base.removeprefix(_UNIX)))
        self._opener = urllib.request.build_opener(*handlers)
        self._where = base
        self._url = "http://localhost" if base.startswith(_UNIX) else base
        self._secret = secret

    async def send(self, phone: str, text: str, message_id: str) -> None:
        """Send one simulated message in rfctl's own form. Raises RfctlError when it was not acknowledged."""
        body = {"from": phone, "message": text, "messageId": message_id, "simulated": True}
        await self.post(BATCHED, self._sign(json.dumps(body).encode()))

    def _sign(self, body: bytes) -> Request:
        headers = {"content-type": b"application/json"}
        if self._secret:
            now = str(time.time_ns() // 1_000_000)
            signature = sign(self._secret, "POST", BATCHED, now, body)
            headers |= {"x-timestamp": now.encode(), "x-signature": signature.encode()}
        return Request("POST", BATCHED, "", headers, body)

    async def post(self, path: str, request: Request) -> None:
        """Send a request to this path of the listener. Raises RfctlError when it was not acknowledged."""
        target = path + (f"?{request.query}" if request.query else "")
        await asyncio.to_thread(self._post, target, request.headers, request.body)

    def _post(self, target: str, headers: Mapping[str, bytes], body: bytes) -> None:
        fields = {name: value.decode("latin-1") for name, value in headers.items()}
        request = urllib.request.Request(self._url + target, body, fields)  # noqa: S310 - http, from a heartbeat
        where = self._where + target.partition("?")[0]
        try:
            with self._opener.open(request, timeout=10) as response:
                response.read()
        except urllib.error.HTTPError as problem:
            with problem:
                raise _explain_rejection(where, problem.code, problem.read()) from None
        except (OSError, http.client.HTTPException) as problem:
            raise NoDaemonError(
                f"the webhook at {where} cannot be reached: {problem}",
                next="run it on the daemon's host, or with --via redis",
            ) from None


def _explain_rejection(where: str, status: int, body: bytes) -> RfctlError:
    fact = f"the webhook at {where} answered {status}: {_error_in(body)}"
    if status == 503:
        step = "`rfctl stats` and the daemon's log say why; then run it again"
        return DaemonCannotNowError(fact, next=step)
    if status < 500:
        step = "the daemon has other settings: compare `rfctl config show` there, or use --via redis"
        return DaemonRefusedError(fact, next=step)
    return RfctlError(fact, next="see the daemon's log")


def _error_in(body: bytes) -> str:
    """Return the error text of our own answers, and all of any other body."""
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")


async def send_all(messages: list[PlannedMessage], send: Send, on_sent: Callable[[], None]) -> None:
    """Send each at its time; one person's messages one after another, people side by side. Raises RfctlError."""
    by_phone: dict[str, list[PlannedMessage]] = {}
    for message in messages:
        by_phone.setdefault(message.phone, []).append(message)
    began = time.monotonic()

    async def send_in_order(conversation: list[PlannedMessage]) -> None:
        for message in conversation:
            await asyncio.sleep(max(0.0, began + message.at_s - time.monotonic()))
            await send(message.phone, message.text, message.id)
            on_sent()

    await asyncio.gather(*(send_in_order(conversation) for conversation in by_phone.values()))
