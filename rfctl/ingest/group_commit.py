"""Group commit: requests that wait at the same time share one call to Redis.

While a call is on its way, the next messages gather. Each request is answered after its own result. If the answer of a
call is lost, the call is sent again with the same ids. That is safe: a message id is stored once. Only messages that
Redis acknowledged are acknowledged. A request that cannot wait any longer gets an error; it is never forgotten.
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
"""Stores messages and returns what became of each. Raises RfctlError."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many messages a call carries and may be pending, how long a request waits, and when a call is repeated (s)."""

    call: int = 128
    pending: int = 20_000
    timeout_s: float = 3.0
    retry_delay_s: float = 0.05


@dataclass(eq=False, slots=True)
class _Request:
    messages: Sequence[Message]
    answer: asyncio.Future[list[Added]]


class GroupCommit:
    """Stores the messages of many requests together, and answers each request after Redis did."""

    def __init__(self, store: StoreMessages, bounds: Bounds | None = None) -> None:
        self._store = store
        self._bounds = bounds or Bounds()
        self._queue: deque[_Request] = deque()
        self._pending = 0
        self._sender: asyncio.Task[None] | None = None
        self._sent: Sequence[_Request] = ()
        self._is_closed = False

    async def add(self, messages: Sequence[Message]) -> list[Added]:
        """Store a request's messages. Raises RfctlError unless Redis confirmed all of them."""
        if self._is_closed:
            raise _stopping()
        if self._pending + len(messages) > self._bounds.pending:
            raise OverloadedError(
                f"{self._pending} messages already wait for Redis",
                next="it is slow, or does not answer: `rfctl stats` says which, and the sender must try again",
            )
        request = _Request(messages, asyncio.get_running_loop().create_future())
        self._queue.append(request)
        self._pending += len(messages)
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send_all())
        try:
            async with asyncio.timeout(self._bounds.timeout_s):
                return await request.answer
        except TimeoutError:
            self._let_go(request)
            raise RedisUnreachableError(
                f"Redis did not confirm within {self._bounds.timeout_s:g} s"
            ) from None

    def _let_go(self, request: _Request) -> None:
        """Forget the messages of a request that has its answer: Redis may be silent for long."""
        if request not in self._sent:
            self._pending -= len(request.messages)
            request.messages = ()

    async def wait_until_idle(self) -> None:
        """Wait until no call is on its way."""
        while self._sender is not None and not self._sender.done():
            await asyncio.wait({self._sender})

    async def close(self) -> None:
        """Answer every request: those that Redis has not confirmed get an error, and so do all later ones.

        A provider that is answered so sends its request again, to the next start.
        """
        self._is_closed = True
        _fail([*self._sent, *self._queue], _stopping())
        self._queue.clear()
        if self._sender is not None and not self._sender.done():
            self._sender.cancel()
            await asyncio.wait({self._sender})

    async def _send_all(self) -> None:
        while self._queue:
            self._sent = self._take_requests()
            if self._sent:
                await self._send(self._sent)
            self._sent = ()

    def _take_requests(self) -> list[_Request]:
        """Take the requests that fit into one call, without those that nobody waits for any more."""
        requests: list[_Request] = []
        size = 0
        while self._queue and (not requests or size + len(self._queue[0].messages) <= self._bounds.call):
            request = self._queue.popleft()
            self._pending -= len(request.messages)
            if not request.answer.done():
                requests.append(request)
                size += len(request.messages)
        return requests

    async def _send(self, requests: Sequence[_Request]) -> None:
        messages = [message for request in requests for message in request.messages]
        try:
            results = await self._store_until_answered(messages, requests)
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

    async def _store_until_answered(
        self, messages: list[Message], requests: Sequence[_Request]
    ) -> list[Added]:
        """Repeat the call while a request waits. Messages that a lost call had stored count as added."""
        is_repeated = False
        while True:
            try:
                results = await self._store(messages)
            except (
                RedisUnreachableError
            ):  # other errors do not pass in seconds: the request gets them at once
                if all(request.answer.done() for request in requests):
                    raise
                is_repeated = True
                await asyncio.sleep(self._bounds.retry_delay_s)
            else:
                return [_as_added(result) for result in results] if is_repeated else results


def _as_added(result: Added) -> Added:
    if result.rejected:
        return result
    return Added(result.phone, added=True, size=result.size, due_in_ms=result.due_in_ms)


def _stopping() -> RedisUnreachableError:
    return RedisUnreachableError("the daemon stops, and Redis has not confirmed this yet")


def _fail(requests: Sequence[_Request], problem: Exception) -> None:
    for request in requests:
        if not request.answer.done():
            request.answer.set_exception(problem)
