"""A connection of the HTTP server without a socket: the test reads and writes its bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from rfctl.daemon.http_bounds import Limits, OnReject
from rfctl.daemon.http_hot import make_protocol
from rfctl.daemon.http_protocol import Protocol
from rfctl.ingest.receiver import Receiver


class FakeTransport(asyncio.Transport):
    """Records what is written; `blocks` once a client takes nothing more."""

    def __init__(self, peer: str = "127.0.0.1") -> None:
        super().__init__({"peername": (peer, 5) if peer else "", "sockname": ("127.0.0.1", 80)})
        self.sent = bytearray()
        self.writes = 0
        self.on_end: Callable[[Exception | None], None] | None = None
        self.closing = self.aborted = self.ended = self.paused = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def write(self, data: Any) -> None:
        if not self.closing:
            self.sent += data
            self.writes += 1

    def write_eof(self) -> None:
        self.ended = True

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self._end()
        self.closing = True

    def abort(self) -> None:
        self._end()
        self.closing = self.aborted = True

    def _end(self) -> None:
        """Let the protocol hear of the end a little later, as in a loop."""
        if not self.closing and self.on_end is not None:
            asyncio.get_running_loop().call_soon(self.on_end, None)

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class EchoApp:
    """Answers with the method, path and body of each request, once `gate` is open."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.gate = asyncio.Event()
        self.calls: list[str] = []
        self.hosts: list[list[bytes]] = []
        self.headers: list[list[tuple[bytes, bytes]]] = []
        if is_open:
            self.gate.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.calls.append(scope["path"])
        self.headers.append(scope["headers"])
        self.hosts.append([value for name, value in scope["headers"] if name == b"host"])
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message["body"], message["more_body"]
        await self.gate.wait()
        answer = scope["method"].encode() + b" " + scope["raw_path"] + b" " + body
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-length", b"%d" % len(answer))],
            }
        )
        await send({"type": "http.response.body", "body": answer})


class FakeConnection:
    """A connection of a server with this app; what it rejected is in `rejected` as (reason, status)."""

    def __init__(
        self,
        app: Any,
        limits: Limits | None = None,
        *,
        on_reject: OnReject | None = None,
        receiver: Receiver | None = None,
        peer: str = "127.0.0.1",
    ) -> None:
        self.app = app
        self.is_lost = False
        self.rejected: list[tuple[str, int | None]] = []
        kind = make_protocol(limits or Limits(), on_reject or self._on_reject, receiver)
        config = uvicorn.Config(app, http=kind, ws="none", lifespan="off", log_config=None, access_log=False)
        config.load()
        self.state = ServerState()
        self.state.default_headers = [(b"date", b"Thu, 01 Jan 1970 00:00:00 GMT")]
        self.protocol: Protocol = kind(config=config, server_state=self.state, app_state={})
        self.transport = FakeTransport(peer)
        self.transport.on_end = self.end
        self.protocol.connection_made(self.transport)

    def _on_reject(self, reason: str, _problem: str, **fields: Any) -> None:
        self.rejected.append((reason, fields.get("status")))

    def read(self, data: bytes) -> int:
        """Let the server read these bytes, as far as it wants any. Returns how many it read."""
        place = 0
        while place < len(data) and not self.transport.paused and not self.transport.closing:
            buffer = self.protocol.get_buffer(-1)
            part = data[place : place + len(buffer)]
            buffer[: len(part)] = part
            self.protocol.buffer_updated(len(part))
            place += len(part)
        return place

    async def read_all(self, data: bytes) -> None:
        """Let the server read all of these bytes, whenever it wants more."""
        while data and not self.transport.closing:
            data = data[self.read(data) :]
            await self.settle()

    async def settle(self) -> None:
        """Let the app run until it waits."""
        for _ in range(20):
            await asyncio.sleep(0)

    def end(self, problem: Exception | None = None) -> None:
        """End the connection, as the event loop does, once."""
        if not self.is_lost:
            self.is_lost = True
            self.protocol.connection_lost(problem)

    @property
    def answers(self) -> list[bytes]:
        """The first lines and the bodies that were sent, one after another."""
        rest, parts = bytes(self.transport.sent), []
        while rest:
            head, _, rest = rest.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            parts += [head.partition(b"\r\n")[0], rest[:length]]
            rest = rest[length:]
        return parts
