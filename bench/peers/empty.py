"""The answer that costs least: an ASGI app that reads a body, and does nothing with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

BODY = b'{"success":true,"addedCount":1,"duplicates":0,"batches":[]}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]


async def app(
    _scope: Mapping[str, Any], receive: Callable[[], Awaitable[Mapping[str, Any]]],
    send: Callable[[Mapping[str, Any]], Awaitable[None]],
) -> None:  # fmt: skip
    """Answer 200 to everything."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})
