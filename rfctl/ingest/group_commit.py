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
from functools import partial
from itertools import takewhile

from rfctl.errors import OverloadedError, RedisUnreachableError, RfctlError
from rfctl.model.message import Message
from rfctl.model.stored import Added

StoreMessages = Callable[[Sequence[Message]], Awaitable[list[Added]]]
"""Stores messages and returns what became of each. Raises RfctlError."""
OnAnswer = Callable[[list[Added] | Exception], None]
"""Gets what became of each message of a request, or why Redis has not confirmed them (RfctlError, or a bug)."""


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
    on_answer: OnAnswer
    is_sent: bool = False


class GroupCommit:
    """Stores the messages of many requests together, and answers each request after Redis did."""

    def __init__(self, store: StoreMessages, bounds: Bounds | None = None) -> None:
        self._store = store
        self._bounds = bounds or Bounds()
        self._queue: deque[_Request] = deque()
        self._pending = 0
        self._waiting: dict[_Request, float] = {}
        """The requests without an answer, the oldest first, and until when each waits (time of the loop, s)."""
        self._timer: asyncio.TimerHandle | None = None
        self._sender: asyncio.Task[None] | None = None
        self._is_closed = False

    def submit(self, messages: Sequence[Message], on_answer: OnAnswer) -> None:
        """Store a request's messages; `on_answer` is called once, with the results or an error.

        It is called at once when the request cannot be taken in. Nothing is raised here.
        """
        refusal = self._find_refusal(len(messages))
        if refusal is None:
            self._take_in(_Request(messages, on_answer))
        else:
            _call(on_answer, refusal)

    async def add(self, messages: Sequence[Message]) -> list[Added]:
        """Store a request's messages. Raises RfctlError unless Redis confirmed all of them."""
        answer: asyncio.Future[list[Added]] = asyncio.get_running_loop().create_future()
        if (refusal := self._find_refusal(len(messages))) is not None:
            raise refusal
        request = _Request(messages, partial(_set_answer, answer))
        self._take_in(request)
        try:
            return await answer
        finally:
            self._let_go(request)  # nobody waits for it if this was cancelled

    def _find_refusal(self, count: int) -> RfctlError | None:
        if self._is_closed:
            return _stopping()
        if self._pending + count > self._bounds.pending:
            return OverloadedError(
                f"{self._pending} messages already wait for Redis",
                next="it is slow, or does not answer: `rfctl stats` says which, and the sender must try again",
            )
        return None

    def _take_in(self, request: _Request) -> None:
        loop = asyncio.get_running_loop()
        until = self._waiting[request] = loop.time() + self._bounds.timeout_s
        self._queue.append(request)
        self._pending += len(request.messages)
        if self._timer is None:
            self._timer = loop.call_at(until, self._give_up)
        if self._sender is None or self._sender.done():
            self._sender = loop.create_task(self._send_all())

    def _give_up(self) -> None:
        """Answer the requests whose time is up. One timer serves all: it waits for the oldest."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for request, _ in list(takewhile(lambda entry: entry[1] <= now, self._waiting.items())):
            fact = f"Redis did not confirm within {self._bounds.timeout_s:g} s"
            self._answer(request, RedisUnreachableError(fact))
        oldest = next(iter(self._waiting.values()), None)
        self._timer = None if oldest is None else loop.call_at(oldest, self._give_up)

    def _answer(self, request: _Request, answer: list[Added] | Exception) -> None:
        if self._let_go(request):
            _call(request.on_answer, answer)

    def _let_go(self, request: _Request) -> bool:
        """Return whether a request still waited; it does not any more.

        Its messages are forgotten, unless a call has them: Redis may be silent for long.
        """
        if self._waiting.pop(request, None) is None:
            return False
        if not request.is_sent:
            self._pending -= len(request.messages)
            request.messages = ()
        return True

    async def wait_until_idle(self) -> None:
        """Wait until no call is on its way."""
        while self._sender is not None and not self._sender.done():
            await asyncio.wait({self._sender})

    async def close(self) -> None:
        """Answer every request: those that Redis has not confirmed get an error, and so do all later ones.

        A provider that is answered so sends its request again, to the next start.
        """
        self._is_closed = True
        for request in list(self._waiting):
            self._answer(request, _stopping())
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._sender is not None and not self._sender.done():
            self._sender.cancel()
            await asyncio.wait({self._sender})

    async def _send_all(self) -> None:
        while self._queue:
            if requests := self._take_requests():
                await self._send(requests)

    def _take_requests(self) -> list[_Request]:
        """Take the requests that fit into one call, without those that nobody waits for any more."""
        requests: list[_Request] = []
        size = 0
        while self._queue and (not requests or size + len(self._queue[0].messages) <= self._bounds.call):
            request = self._queue.popleft()
            if request in self._waiting:
                self._pending -= len(request.messages)
                request.is_sent = True
                requests.append(request)
                size += len(request.messages)
        return requests

    async def _send(self, requests: Sequence[_Request]) -> None:
        messages = [message for request in requests for message in request.messages]
        try:
            results = await self._store_until_answered(messages, requests)
        except Exception as problem:
            for request in requests:
                self._answer(request, problem)
            if not isinstance(problem, RfctlError):
                _report("messages could not be stored", problem)
            return
        start = 0
        for request in requests:
            end = start + len(request.messages)
            self._answer(request, results[start:end])
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
                if not any(request in self._waiting for request in requests):
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


def _set_answer(future: asyncio.Future[list[Added]], answer: list[Added] | Exception) -> None:
    if future.done():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)


def _call(on_answer: OnAnswer, answer: list[Added] | Exception) -> None:
    """Call `on_answer`; a bug there must not take the answers of other requests with it."""
    try:
        on_answer(answer)
    except Exception as problem:
        _report("a request could not be answered", problem)


def _report(what: str, problem: Exception) -> None:
    """Have a bug logged, as the loop logs a bug of any callback."""
    asyncio.get_running_loop().call_exception_handler({"message": what, "exception": problem})
