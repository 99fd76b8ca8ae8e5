"""A relay in front of Redis that cuts a connection at a chosen request: before Redis gets it, or before its answer is passed on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Self

CutMode = Literal["before", "after"]


@dataclass(slots=True)
class Cut:
    """Cuts the connection that sends the first request of the name `request`, "" for none. Counts while `armed`."""

    request: str = ""
    mode: CutMode = "before"
    armed: bool = True
    requests: list[str] = field(default_factory=list)
    """The requests so far, as command, or command and the script's hash."""

    @property
    def has_cut(self) -> bool:
        """Return whether the request came."""
        return self.request in self.requests

    def count(self, request: bytes) -> bool:
        """Count a request; return whether the connection is to be cut at it."""
        name = name_request(request)
        is_first = name not in self.requests
        if self.armed:
            self.requests.append(name)
        return self.armed and is_first and name == self.request


def find_end(buffer: bytes, start: int = 0) -> int | None:
    """Return where the RESP value that begins at `start` ends; None when it is not complete yet."""
    line_end = buffer.find(b"\r\n", start)
    if line_end < 0:
        return None
    kind, after = buffer[start : start + 1], line_end + 2
    if kind in (b"+", b"-", b":"):
        return after
    size = int(buffer[start + 1 : line_end])
    if kind == b"$":
        end = after if size < 0 else after + size + 2
        return end if end <= len(buffer) else None
    for _ in range(max(0, size)):  # an array
        end_of_item = find_end(buffer, after)
        if end_of_item is None:
            return None
        after = end_of_item
    return after


def name_request(request: bytes) -> str:
    """Return the command of a request, and for a script the beginning of its hash."""
    parts = request.split(b"\r\n")
    command = parts[2].decode().upper()
    return f"{command} {parts[4][:8].decode()}" if command == "EVALSHA" else command


class CuttingRelay:
    """Passes each connection on to a Redis, request by request. After the cut, new connections are served as usual."""

    def __init__(self, port: int, cut: Cut, database: int = 0) -> None:
        self._port, self._cut, self._database = port, cut, database
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"redis://127.0.0.1:{port}/{self._database}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._port)
        except BaseException:
            writer.transport.abort()
            raise
        line = _Line(self._cut, writer, back)
        for work in (line.pass_requests(reader), line.pass_answers(there)):
            task = asyncio.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


class _Line:
    """One connection of a client to Redis."""

    def __init__(self, cut: Cut, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._cut, self._client, self._server = cut, client, server
        self._requests = self._answers = 0
        self._cut_at_answer: int | None = None

    async def pass_requests(self, reader: asyncio.StreamReader) -> None:
        await self._pass(reader, self._pass_request)

    async def pass_answers(self, reader: asyncio.StreamReader) -> None:
        await self._pass(reader, self._pass_answer)

    async def _pass(self, reader: asyncio.StreamReader, pass_on: Callable[[bytes], None]) -> None:
        buffer = b""
        try:
            while data := await reader.read(65_536):
                buffer += data
                while (end := find_end(buffer)) is not None:
                    pass_on(buffer[:end])
                    buffer = buffer[end:]
        except OSError:
            pass
        finally:
            self._close()

    def _pass_request(self, request: bytes) -> None:
        self._requests += 1
        if self._cut_at_answer is not None or self._client.transport.is_closing():
            return
        if self._cut.count(request):
            if self._cut.mode == "before":
                self._close()
                return
            self._cut_at_answer = self._requests
        self._server.write(request)

    def _pass_answer(self, answer: bytes) -> None:
        self._answers += 1
        if self._answers == self._cut_at_answer:
            self._close()
        elif not self._client.transport.is_closing():
            self._client.write(answer)

    def _close(self) -> None:
        self._client.transport.abort()
        self._server.close()
