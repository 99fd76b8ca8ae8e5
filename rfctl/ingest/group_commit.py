"""Group commit: requests that wait at the same time share one call to Redis.

While calls are on their way, the next messages gather. Each request is answered after its own result. If the answer of a
call is lost, the call is sent again with the same ids. That is safe: a message id is stored once. Only messages that
Redis acknowledged are acknowledged. A request that cannot wait any longer gets an error; it is never forgotten.

`ingest.request_queue` says which requests may go: a phone has its messages in one call at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile

from rfctl.errors import OverloadedError, RedisUnreachableError, RfctlError
from rfctl.ingest.request_queue import OnAnswer, Request, RequestQueue
from rfctl.model.message import Message
from rfctl.model.stored import Added

_NO_ANSWER = "a request could not be answered"
StoreMessages = Callable[[Sequence[Message]], Awaitable[list[Added]]]
"""Stores messages and returns what became of each. Raises RfctlError."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many messages a call carries and may be pending, how long a request waits, and when a call is repeated (s).

    So many `calls` are on their way at once. One alone leaves the daemon idle while Redis works; two and four were alike
    in `bench duel`, in rate and in CPU a message. By itself, load makes calls large: 15 to 24 messages at 64 connections.
    """

    call: int = 128
    calls: int = 4
    pending: int = 20_000
    timeout_s: float = 3.0
    retry_delay_s: float = 0.05


class GroupCommit:
    """Stores the messages of many requests together, and answers each request after Redis did."""

    def __init__(self, store: StoreMessages, bounds: Bounds | None = None) -> None:
        self._store = store
        self._bounds = bounds or Bounds()
        self._queue = RequestQueue()
        self._waiting: dict[Request, float] = {}
        """The requests without an answer, the oldest first, and until when each waits (time of the loop, s)."""
        self._timer: asyncio.TimerHandle | None = None
        self._senders: set[asyncio.Task[None]] = set()
        self._began: dict[asyncio.Task[None] | None, float] = {}
        """When the call of each sender began (time of the loop, s)."""
        self._is_beginning = False
        self._is_closed = False

    def submit(self, messages: Sequence[Message], on_answer: OnAnswer) -> Request | None:
        """Store a request's messages; `on_answer` is called once, with the results or an error. Nothing is raised here.

        Returns the request that waits. One that cannot be taken in is answered at once, and None is returned.
        """
        # Every message passes here: what is usual is written out, and makes no call.
        queue, bounds = self._queue, self._bounds
        if self._is_closed or queue.count + len(messages) > bounds.pending:
            _call(on_answer, self._build_refusal())
            return None
        request = Request(messages, on_answer)
        loop = asyncio.get_running_loop()
        until = self._waiting[request] = loop.time() + bounds.timeout_s
        queue.append(request)
        if self._timer is None:
            self._timer = loop.call_at(until, self._give_up)
        if not self._is_beginning and len(self._senders) < bounds.calls:
            self._begin_call()
        return request

    async def add(self, messages: Sequence[Message]) -> list[Added]:
        """Store a request's messages. Raises RfctlError unless Redis confirmed all of them."""
        answer: asyncio.Future[list[Added]] = asyncio.get_running_loop().create_future()
        request = self.submit(messages, partial(_set_answer, answer))
        try:
            return await answer
        finally:
            if request is not None and request.is_waiting:  # this was cancelled: nobody waits for it
                self._let_go(request)

    def _build_refusal(self) -> RfctlError:
        if self._is_closed:
            return _stopping()
        return OverloadedError(
            f"{self._queue.count} messages already wait for Redis",
            next="it is slow, or does not answer: `rfctl stats` says which, and the sender must try again",
        )

    def _give_up(self) -> None:
        """Answer the requests whose time is up. One timer serves all: it waits for the oldest."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for request, _ in list(takewhile(lambda entry: entry[1] <= now, self._waiting.items())):
            fact = f"Redis did not confirm within {self._bounds.timeout_s:g} s"
            self._answer(request, RedisUnreachableError(fact))
        oldest = next(iter(self._waiting.values()), None)
        self._timer = None if oldest is None else loop.call_at(oldest, self._give_up)

    def _answer(self, request: Request, answer: list[Added] | Exception) -> None:
        if request.is_waiting:
            self._let_go(request)
            _call(request.on_answer, answer)

    def _let_go(self, request: Request) -> None:
        request.is_waiting = False
        del self._waiting[request]
        if not request.is_sent:
            self._queue.forget(request)

    def measure_age_s(self) -> float:
        """Return how long the oldest call has been on its way, s; 0 without any."""
        began = min(self._began.values(), default=None)
        return 0.0 if began is None else asyncio.get_running_loop().time() - began

    async def wait_until_idle(self) -> None:
        """Wait until no call is on its way."""
        while senders := [sender for sender in self._senders if not sender.done()]:
            await asyncio.wait(senders)

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
        for sender in self._senders:
            sender.cancel()
        await self.wait_until_idle()

    def _begin_call(self) -> None:
        """Make a call in the next turn of the loop, unless enough are on their way. What comes until then goes with it."""
        if self._queue and not self._is_beginning and len(self._senders) < self._bounds.calls:
            self._is_beginning = True
            self._senders.add(asyncio.get_running_loop().create_task(self._send_all()))

    async def _send_all(self) -> None:
        """Make one call after another, as long as a request may go."""
        self._is_beginning = False
        queue, this = self._queue, asyncio.current_task()
        try:
            while queue and (requests := queue.take(self._bounds.call)):
                if queue:
                    self._begin_call()
                messages: list[Message] = []
                for request in requests:
                    messages += request.messages
                self._began[this] = asyncio.get_running_loop().time()
                try:
                    try:
                        results = await self._store(messages)
                    except RedisUnreachableError as problem:
                        results = await self._repeat(messages, requests, problem)
                    self._answer_all(requests, results)
                except Exception as problem:
                    self._fail_all(requests, problem)
                finally:
                    queue.finish(requests)
        finally:
            # Here, and not when the task is done: a request that comes before that begins a call of its own.
            self._began.pop(this, None)
            if this is not None:
                self._senders.discard(this)

    def _answer_all(self, requests: Sequence[Request], results: list[Added]) -> None:
        """Give each request its results. What `_answer` does is written out: every message passes here."""
        waiting, start = self._waiting, 0
        for request in requests:
            end = start + len(request.messages)
            if request.is_waiting:
                request.is_waiting = False
                del waiting[request]
                try:
                    request.on_answer(results[start:end])
                except Exception as problem:
                    _report(_NO_ANSWER, problem)
            start = end

    def _fail_all(self, requests: Sequence[Request], problem: Exception) -> None:
        for request in requests:
            self._answer(request, problem)
        if not isinstance(problem, RfctlError):
            _report("messages could not be stored", problem)

    async def _repeat(
        self, messages: list[Message], requests: Sequence[Request], problem: RedisUnreachableError
    ) -> list[Added]:
        """Repeat a call that failed, while a request waits. Messages that a lost call had stored count as added.

        Other errors do not pass in seconds: the requests get them at once.
        """
        while any(request.is_waiting for request in requests):
            await asyncio.sleep(self._bounds.retry_delay_s)
            try:
                return [_as_added(result) for result in await self._store(messages)]
            except RedisUnreachableError as again:
                problem = again
        raise problem


def _as_added(result: Added) -> Added:
    if result.rejected or result.dropped_by or result.is_own:
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
        _report(_NO_ANSWER, problem)


def _report(what: str, problem: Exception) -> None:
    """Have a bug logged, as the loop logs a bug of any callback."""
    asyncio.get_running_loop().call_exception_handler({"message": what, "exception": problem})
