"""Calls that wait at the same moment are made as one call to Redis, and each caller gets its own result.

While calls are on their way, the next ones gather. Two go at a time: Redis does one of them while this process builds
the next. What fails as a whole is made again one by one, so that nobody gets the error of another.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from rfctl import errors

_MAX_CALLS = 2
_OF_ALL = (errors.RedisUnreachableError, errors.RedisCannotNowError, errors.GroupMissingError)
"""What Redis says of the whole call, whatever is in it."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class SharedCalls(Generic[Item, Result]):
    """Gathers items for `call`, which returns for each of them its result, or the exception that its caller gets.

    A call has at most `max_items`, and about `max_bytes` as `measure` counts them; an item may be larger alone.
    """

    def __init__(
        self,
        call: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]],
        *,
        max_items: int,
        max_bytes: int = 0,
        measure: Callable[[Item], int] = lambda _: 0,
    ) -> None:
        self._call = call
        self._max_items, self._max_bytes = max_items, max_bytes
        self._measure = measure
        self._queue: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._senders: set[asyncio.Task[None]] = set()
        self._sending = 0

    async def make(self, item: Item) -> Result:
        """Make the call for an item, and return its result. Raises what `call` raises, or has in the place of it.

        An item whose caller is cancelled before it is on its way is never sent.
        """
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._queue.append((item, answer))
        if self._sending < _MAX_CALLS:
            self._sending += 1
            sender = asyncio.create_task(self._send_all())
            self._senders.add(sender)
            sender.add_done_callback(self._senders.discard)
        return await answer

    async def _send_all(self) -> None:
        try:
            while waiting := self._take():
                await self._send(waiting)
        finally:  # in the very step that found nothing more: whoever comes next needs a sender of his own
            self._sending -= 1

    def _take(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        """Take what goes into one call, without those whose callers are gone."""
        taken: list[tuple[Item, asyncio.Future[Result]]] = []
        size = 0
        while self._queue and len(taken) < self._max_items:
            item, answer = self._queue[0]
            size += 0 if answer.done() else self._measure(item)
            if taken and size > self._max_bytes > 0:
                break
            self._queue.popleft()
            if not answer.done():
                taken.append((item, answer))
        return taken

    async def _send(self, waiting: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        results: Sequence[Result | Exception]
        try:
            results = await self._call([item for item, _ in waiting])
            if len(results) != len(waiting):
                raise ValueError(f"{len(waiting)} items got {len(results)} results")
        except Exception as problem:
            if len(waiting) > 1 and _is_of_some_item(problem):
                for alone in waiting:
                    if not alone[1].done():
                        await self._send([alone])
                return
            results = [problem] * len(waiting)
        for (_, answer), result in zip(waiting, results, strict=True):
            _settle(answer, result)


def _is_of_some_item(problem: Exception) -> bool:
    return isinstance(problem, errors.RfctlError) and not isinstance(problem, _OF_ALL)


def _settle(answer: asyncio.Future[Result], result: Result | Exception) -> None:
    if answer.done():  # its caller is gone
        return
    if isinstance(result, Exception):
        answer.set_exception(result)
    else:
        answer.set_result(result)
