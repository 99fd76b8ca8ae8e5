"""Group commit: requests that wait at the same time share one call to Redis.

While a call is on its way the next messages gather; each request is answered after its own result. A call
whose answer was lost is sent again with the same ids, which is safe: a message id is stored once. Nothing
is acknowledged that Redis did not acknowledge, and what cannot wait any longer is refused, not forgotten.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from rfctl.errors import OverloadedError, RedisUnreachableError, RfctlError
from rfctl.model.message import Message
from rfctl.model.stored import Added

StoreMessages = Callable[[Sequence[Message]], Awaitable[list[Added]]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much one call carries, how much may wait, and how long a request waits (messages, s)."""

    call: int = 128
    waiting: int = 20_000
    patience_s: float = 3.0
    pause_s: float = 0.05


class _Request:
    __slots__ = ("answer", "messages")

    def __init__(self, messages: list[Message], answer: asyncio.Future[list[Added]]) -> None:
        self.messages = messages
        self.answer = answer


class GroupCommit:
    """Takes messages in and answers each request after Redis has."""

    def __init__(self, store: StoreMessages, bounds: Bounds | None = None) -> None:
        self._store = store
        self._bounds = bounds or Bounds()
        self._queue: deque[_Request] = deque()
        self._waiting = 0
        self._sender: asyncio.Task[None] | None = None

    async def add(self, messages: list[Message]) -> list[Added]:
        """Store a request's messages. Raises RfctlError when they are not (all) known to be stored."""
        if self._waiting + len(messages) > self._bounds.waiting:
            raise OverloadedError(
                f"{self._waiting} messages already wait for Redis",
                next="it is slow or away: `rfctl stats` says which, and the sender must come again",
            )
        request = _Request(messages, asyncio.get_running_loop().create_future())
        self._queue.append(request)
        self._waiting += len(messages)
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send_all())
        try:
            async with asyncio.timeout(self._bounds.patience_s):
                return await request.answer
        except TimeoutError:
            raise RedisUnreachableError(
                f"Redis did not confirm within {self._bounds.patience_s:g} s"
            ) from None

    async def settle(self) -> None:
        """Wait until nothing is on its way."""
        while self._sender is not None and not self._sender.done():
            await asyncio.wait({self._sender})

    async def _send_all(self) -> None:
        while self._queue:
            requests = self._take()
            if requests:
                await self._send(requests)

    def _take(self) -> list[_Request]:
        """Take what fits into one call; a request whose sender has gone away is not sent."""
        taken: list[_Request] = []
        size = 0
        while self._queue and (not taken or size + len(self._queue[0].messages) <= self._bounds.call):
            request = self._queue.popleft()
            self._waiting -= len(request.messages)
            if not request.answer.done():
                taken.append(request)
                size += len(request.messages)
        return taken

    async def _send(self, requests: list[_Request]) -> None:
        messages = [message for request in requests for message in request.messages]
        try:
            results = await self._store_surely(messages, requests)
        except RfctlError as problem:
            _fail(requests, problem)
            return
        except Exception as problem:
            _fail(requests, problem)
            raise
        start = 0
        for request in requests:
            end = start + len(request.messages)
            if not request.answer.done():
                request.answer.set_result(results[start:end])
            start = end

    async def _store_surely(self, messages: list[Message], requests: list[_Request]) -> list[Added]:
        """Send again while somebody still waits; what our own lost call had stored is counted as added."""
        again = False
        while True:
            try:
                results = await self._store(messages)
            except RedisUnreachableError:  # out of memory or read-only does not pass in seconds: told at once
                if all(request.answer.done() for request in requests):
                    raise
                again = True
                await asyncio.sleep(self._bounds.pause_s)
            else:
                return [_as_added(one) for one in results] if again else results


def _as_added(one: Added) -> Added:
    return one if one.rejected else Added(one.phone, added=True, size=one.size, due_in_ms=one.due_in_ms)


def _fail(requests: list[_Request], problem: Exception) -> None:
    for request in requests:
        if not request.answer.done():
            request.answer.set_exception(problem)
