"""A server on loopback that gets commands as Redis does, and answers what a test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Self

import hiredis

TIME = b"*2\r\n$1\r\n1\r\n$1\r\n0\r\n"
Respond = Callable[[list[bytes], asyncio.StreamWriter], Awaitable[None]]
"""Gets one command and the way back."""


def bulk(data: bytes) -> bytes:
    """Return a string as Redis answers it."""
    return b"$%d\r\n%b\r\n" % (len(data), data)


class ScriptedRedis:
    """Answers TIME by itself, and leaves every other command to `respond`. `commands` are those."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond
        self.commands: list[list[bytes]] = []
        self.writers: list[asyncio.StreamWriter] = []
        """One for each connection so far."""
        self.closed = 0
        """How many connections were ended by the client."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self.writers:
            writer.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        parser = hiredis.Reader(notEnoughData=self)
        try:
            while data := await reader.read(65_536):
                parser.feed(data)
                while (command := parser.gets()) is not self:
                    await self._take(command, writer)
        except ConnectionError:
            pass
        finally:
            self.closed += 1
            writer.close()

    async def _take(self, command: list[bytes], writer: asyncio.StreamWriter) -> None:
        if command == [b"TIME"]:
            writer.write(TIME)
        else:
            self.commands.append(command)
            await self.respond(command, writer)
