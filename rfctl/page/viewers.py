"""Those who watch: each has room for one event, the newest. Who is slow skips some, and takes no memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

QUIET_S = 5.0
STILL_HERE = b"event: here\ndata: {}\n\n"
"""What a viewer hears while there is no news. The page takes a longer silence for a connection that is lost."""
_BEGIN = b"retry: 2000\n\n"
_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",  # nginx would keep the events back
}


class Viewer:
    """One who watches. `end` ends it, whoever calls it."""

    def __init__(self) -> None:
        self._event: bytes | None = None
        self._has_news = asyncio.Event()
        self.over = asyncio.Event()

    def offer(self, event: bytes) -> None:
        """Have the viewer get this event, in place of one that waits."""
        self._event = event
        self._has_news.set()

    def end(self) -> None:
        """End the stream."""
        self.over.set()
        self._has_news.set()

    async def wait_for_event(self) -> bytes:
        """Return the next event; STILL_HERE when none comes for a while."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(QUIET_S):
                await self._has_news.wait()
        self._has_news.clear()
        event, self._event = self._event, None
        return event or STILL_HERE


class EventStream(Response):
    """The answer that goes on: events for one viewer, until they leave, may stay no longer, or the daemon stops.

    A client that takes nothing holds up its own stream alone; the connection cuts it off after a while.
    """

    def __init__(
        self, viewer: Viewer, leave: Callable[[], None], may_stay: Callable[[], Awaitable[bool]]
    ) -> None:
        super().__init__(None, headers=_HEADERS)
        del self.headers["content-length"]
        self._viewer = viewer
        self._leave = leave
        self._may_stay = may_stay

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Write events until the end."""
        tasks = [
            asyncio.ensure_future(self._end_with_client(receive)),
            asyncio.ensure_future(self._write(send)),
        ]
        over = asyncio.ensure_future(self._viewer.over.wait())
        try:
            await asyncio.wait([tasks[1], over], return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait([tasks[1]], timeout=0.05)  # it ends by itself, unless the client takes nothing
        finally:
            for task in (*tasks, over):
                task.cancel()
            self._leave()
        await asyncio.gather(*tasks, over, return_exceptions=True)

    async def _write(self, send: Send) -> None:
        start: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        await _write_part(send, _BEGIN)
        while not self._viewer.over.is_set():
            event = await self._viewer.wait_for_event()
            if self._viewer.over.is_set() or not await self._may_stay():
                break
            await _write_part(send, event)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _end_with_client(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._viewer.end()


def _write_part(send: Send, part: bytes) -> Awaitable[None]:
    return send({"type": "http.response.body", "body": part, "more_body": True})
