"""A receiver of merged messages that only counts, and looks at their order: python -m bench.peers.receiver COUNT

It prints where it listens, and a line of JSON once so many have come. It ends on SIGTERM. A merged message's text is a
number, which grows by one for each phone.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from typing import Any

import httptools

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Tally:
    """What came so far."""

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self.count = self.disordered = 0
        self.first_at = self.last_at = 0.0
        self._next: dict[str, int] = {}

    def add(self, body: bytes) -> None:
        """Count a merged message. What comes again with the same number is out of order too."""
        payload = json.loads(body)
        number, phone = int(payload["message"]), payload["from"]
        self.disordered += number != self._next.get(phone, 0)
        self._next[phone] = number + 1
        self.count += 1
        self.last_at = time.monotonic()
        self.first_at = self.first_at or self.last_at
        if self.count == self._expected:
            print(self.describe(), flush=True)

    def describe(self) -> str:
        """Return it as JSON."""
        seconds = self.last_at - self.first_at
        return json.dumps({"count": self.count, "disordered": self.disordered, "seconds": seconds})


class Protocol(asyncio.Protocol):
    """One connection."""

    def __init__(self, tally: Tally) -> None:
        self._tally, self._body = tally, bytearray()
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: Any) -> None:
        """Keep where the answers go."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Gather a body."""
        self._body += body

    def on_message_complete(self) -> None:
        """Count a whole request, and answer it."""
        self._tally.add(bytes(self._body))
        self._body.clear()
        self._transport.write(ANSWER)


async def serve(expected: int) -> None:
    """Receive until SIGTERM."""
    loop, tally, ending = asyncio.get_running_loop(), Tally(expected), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ending.set)
    server = await loop.create_server(lambda: Protocol(tally), "127.0.0.1", 0)
    print(f"listening {server.sockets[0].getsockname()[1]}", flush=True)
    await ending.wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
