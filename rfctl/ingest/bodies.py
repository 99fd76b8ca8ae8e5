"""The bodies in hand: how large each may be, and one bound over all of them together.

A stranger can send a body before anything is verified. So room is taken before a body is read, by its
Content-Length, and step by step where there is none. It is let go when the request is answered: until then the body,
or what was parsed out of it, is in memory.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from types import TracebackType

from starlette.requests import ClientDisconnect, Request

from rfctl.ingest.encodings import unpack_gzip
from rfctl.ingest.rejections import RejectedError
from rfctl.ingest.responses import RETRY

SMALL_BYTES = 65_536


class BodyBudget:
    """Room for the bodies of all requests in hand, `max_bytes`.

    The last fifth is for bodies of up to 64 KiB. Nearly all messages are that small, and a few clients that name
    a large body and do not send it shall not keep them out.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.largest_bytes = max(SMALL_BYTES, max_bytes * 4 // 5)
        self.used_bytes = 0

    def take(self, size: int, *, before: int = 0) -> bool:
        """Take room for `size` more bytes of a body that has `before` already. Says whether there was room."""
        bound = self._max_bytes if size + before <= SMALL_BYTES else self.largest_bytes
        if self.used_bytes + size > bound:
            return False
        self.used_bytes += size
        return True

    def give_back(self, size: int) -> None:
        """Let room go."""
        self.used_bytes -= size


class HeldBody:
    """The body of one request, and its room in the budget until the block ends. `max_bytes` bounds it."""

    __slots__ = ("_budget", "_http", "_limit", "_max_bytes", "_source", "_taken")

    def __init__(self, http: Request, budget: BodyBudget, max_bytes: int, source: str) -> None:
        self._http = http
        self._budget = budget
        self._max_bytes = min(max_bytes, budget.largest_bytes)
        self._limit = "http.max_inflight_bytes" if max_bytes > budget.largest_bytes else "http.max_body_bytes"
        self._source = source
        self._taken = 0

    def __enter__(self) -> HeldBody:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._budget.give_back(self._taken)
        self._taken = 0

    async def read(self) -> bytes:
        """Read the body. Raises RejectedError: 413 as soon as it is, or is to be, too large; 503 without room.

        Raises ClientDisconnect when the client leaves before its end. What is left of a rejected body is read and
        dropped by the connection: to close at once would reset it, and the client would not see its answer.
        """
        length = self._http.headers.get("content-length", "")
        if length.isdecimal():
            self._take(int(length))
        first, has_more = await self._receive()
        self._take(len(first) - self._taken)
        return await self._read_rest(first) if has_more else first

    def unpack(self, packed: bytes, max_bytes: int) -> bytes:
        """Return a body that came with gzip, and take room for what it is then.

        Raises RejectedError: 400 for no gzip, 413 as soon as it is larger than `max_bytes`, 503 without room.
        """
        limit = min(max_bytes, self._budget.largest_bytes)
        body = unpack_gzip(packed, limit, self._source)
        self._take(len(body) - self._taken)
        return body

    async def _read_rest(self, first: bytes) -> bytes:
        """Read on: parts of a small body are joined; a large one grows in one buffer, which would else be there twice."""
        parts, size, has_more = [first], len(first), True
        while has_more and size <= SMALL_BYTES:
            size, has_more = await self._read_part(parts.append, size)
        if not has_more:
            return b"".join(parts)
        body = io.BytesIO()
        body.writelines(parts)
        del parts, first
        while has_more:
            size, has_more = await self._read_part(body.write, size)
        return body.getvalue()  # the buffer itself, not a copy

    async def _read_part(self, keep: Callable[[bytes], object], size: int) -> tuple[int, bool]:
        part, has_more = await self._receive()
        size += len(part)
        self._take(size - self._taken)
        keep(part)
        return size, has_more

    async def _receive(self) -> tuple[bytes, bool]:
        message = await self._http.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        return message.get("body", b""), message.get("more_body", False)

    def _take(self, size: int) -> None:
        if size <= 0:
            return
        if self._taken + size > self._max_bytes:
            fact = f"the body is larger than {self._max_bytes} bytes ({self._limit})"
            raise RejectedError(fact, 413, "body-too-large", source=self._source)
        if not self._budget.take(size, before=self._taken):
            fact = "too many bodies are in hand (http.max_inflight_bytes); nothing was acknowledged, send it again"
            raise RejectedError(fact, 503, "bodies-in-hand", headers=RETRY)
        self._taken += size
