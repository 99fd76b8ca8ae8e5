"""Receivers that a test starts itself: loopback, a free port, nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Answer:
    """`breaks` closes the connection instead, after the request was taken or refused as `status` says."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    breaks: bool = False


Taken = dict[str, Any]
"""`headers` (names in lower case), `body` (parsed), `raw` (its bytes), `method`, `path`."""
Decide = Callable[[Taken], Answer | int]


class HttpReceiver:
    """Answers every POST with 200, unless `answers` says otherwise.

    `answers` is a list (one an answer, in turn, then 200s) or a callable that is given the request; either gives
    an `Answer` or a bare status. `taken` are the requests that were answered 2xx, `seen` all of them, in order.
    """

    def __init__(self, answers: Iterable[Answer | int] | Decide = ()) -> None:
        self.answers: list[Answer | int] | Decide = answers if callable(answers) else list(answers)
        self.taken: list[Taken] = []
        self.seen: list[Taken] = []
        self.connections: set[Any] = set()
        self.url = ""

    @property
    def port(self) -> int:
        return int(self.url.split(":")[2].split("/")[0])

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/hook"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        raw = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.connections.add(request.transport and request.transport.get_extra_info("peername"))
        got = {
            "headers": headers, "body": json.loads(raw) if raw else None, "raw": raw, "method": request.method,
            "path": request.path,
        }  # fmt: skip
        self.seen.append(got)
        answer = self._decide(got)
        if 200 <= answer.status < 300:
            self.taken.append(got)
        if answer.breaks and request.transport is not None:
            request.transport.abort()
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    def _decide(self, got: Taken) -> Answer:
        if callable(self.answers):
            decided: Answer | int = self.answers(got)
        else:
            decided = self.answers.pop(0) if self.answers else 200
        return Answer(decided) if isinstance(decided, int) else decided


Play = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def tcp_receiver(play: Play) -> AsyncIterator[int]:
    """A receiver that speaks as it likes; gives its port. What it still does at the end is cancelled."""
    playing: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        playing.add(asyncio.current_task())  # type: ignore[arg-type]
        try:
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await play(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in playing:
            task.cancel()
        await asyncio.gather(*playing, return_exceptions=True)
        await server.wait_closed()
