"""What stands between a client and a server: an address that may lead elsewhere, or TLS."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from typing import Self


class Relay:
    """Passes each new TCP connection on to `port`; those that are open stay where they are. `tls` is its own end's."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.port = port
        self.url = ""
        self._tls = tls
        self._pumps: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self, dice: random.Random, share: float = 1.0) -> int:
        """Cut this share of the open connections at once, whatever is on its way. Returns how many."""
        chosen = [writer for writer in self._writers if dice.random() < share]
        for writer in chosen:
            writer.transport.abort()
        return len(chosen)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.url = f"redis{'s' if self._tls else ''}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            writer.close()
            return
        self._writers.add(writer)
        for streams in ((reader, back), (there, writer)):
            pump = asyncio.create_task(_pump(*streams))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)
            pump.add_done_callback(lambda _: self._writers.discard(writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
