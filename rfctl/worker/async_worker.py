"""The worker: takes messages, calls the handler, and ends each attempt. Several messages at once, never two of a person."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import math
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Self

from redis.exceptions import RedisError

from rfctl.errors import RfctlError
from rfctl.timing import wait_for_first
from rfctl.worker.in_hand import Entry, InHand
from rfctl.worker.merged_message import MergedMessage, decode_message, find_message_id
from rfctl.worker.options import GiveUpError, LeftError, WorkerOptions
from rfctl.worker.redis_group import RedisGroup

_notes = logging.getLogger("rfctl.worker")
_PERSONS_A_PAGE = 10
"""A call looks at twice as many. So all workers together look at all that they have in hand, in a second or two each."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
Handler = Callable[[MergedMessage], Awaitable[object] | object]


class AsyncWorker:
    """Handles merged messages with a coroutine, up to `concurrency` at once, and one at a time of each person.

    `url` is that of the daemon's Redis, `group` the consumer group: workers of one group share the messages, and each
    group gets all of them. A message comes again `retry_after_s` after its handler raised, or after its worker gave no
    sign of life; after `max_attempts` it is a dead letter. A handler is cancelled after `timeout_s`, which is a failure.
    An id is remembered for `remember_s` after its message was handled. `prefix` is `redis.prefix` of the settings.
    Raises WorkerOptionError.
    """

    def __init__(
        self,
        url: str,
        *,
        group: str,
        concurrency: int = 10,
        retry_after_s: float = 30.0,
        max_attempts: int = 5,
        timeout_s: float = 600.0,
        remember_s: float = 86_400.0,
        prefix: str = "",
    ) -> None:
        self._begin_with(WorkerOptions(
            url=url, group=group, concurrency=concurrency, retry_after_s=retry_after_s, max_attempts=max_attempts,
            timeout_s=timeout_s, remember_s=remember_s, prefix=prefix,
        ))  # fmt: skip

    @classmethod
    def from_options(cls, options: WorkerOptions) -> Self:
        """Return a worker with these options."""
        worker = cls.__new__(cls)
        worker._begin_with(options)
        return worker

    def _begin_with(self, options: WorkerOptions) -> None:
        self._options = options
        self._stopping = asyncio.Event()
        self._in_hand = InHand(options.timeout_s)
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._group: RedisGroup | None = None
        self._looked_at = -math.inf
        self._pages = math.ceil(options.concurrency / _PERSONS_A_PAGE)

    def stop(self) -> None:
        """End `run` as soon as the messages in hand are handled. Call it in the loop's own thread."""
        self._stopping.set()
        if self._group is not None:
            self._group.end_patience()

    async def run(self, handler: Handler) -> None:
        """Handle messages until SIGTERM, Ctrl-C or `stop`; then finish those in hand. A second signal ends at once.

        While Redis is away it waits. A worker runs once. Raises CredentialsRefusedError, OtherLayoutError and, the second
        time, RuntimeError.
        """
        if self._group is not None:
            raise RuntimeError("this worker has run: make another one")
        group = self._group = self._open_group()
        try:
            with self._obeying_signals():
                await self._run(group, handler)
        finally:
            await group.close()
        if self._failure is not None:
            raise self._failure

    def _open_group(self) -> RedisGroup:
        return RedisGroup(self._options)

    async def _run(self, group: RedisGroup, handler: Handler) -> None:
        await wait_for_first(group.open(), self._stopping.wait())
        beats = asyncio.create_task(self._renew_in_hand(group))
        beats.add_done_callback(self._end_task)
        try:
            await self._serve_and_finish(group, handler)
        finally:
            tasks = [beats, *self._tasks]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve_and_finish(self, group: RedisGroup, handler: Handler) -> None:
        """Serve until the stop, or until something fails for good; what is in hand is finished in both cases."""
        try:
            await self._serve(group, handler)
        except (RfctlError, RedisError) as problem:
            self._fail(problem)
        while self._tasks:
            await asyncio.wait(self._tasks)
            await asyncio.sleep(0)  # the callbacks of their ends
        if self._failure is None:
            await group.leave()

    async def _serve(self, group: RedisGroup, handler: Handler) -> None:
        """Take and begin messages until the stop."""
        while not self._stopping.is_set():
            await wait_for_first(self._wait_for_slot(), self._stopping.wait())
            entry = None if self._stopping.is_set() else await self._take(group)
            if entry is not None:
                self._begin(group, handler, entry)
            elif not self._stopping.is_set():
                await wait_for_first(group.wait_for_more(), self._stopping.wait())

    async def _wait_for_slot(self) -> None:
        while len(self._tasks) >= self._options.concurrency:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(0)

    async def _take(self, group: RedisGroup) -> Entry | None:
        """Take the next message of any stream; now and then look also for what others left, and for other streams."""
        await group.keep_up()
        now = time.monotonic()
        is_look = now - self._looked_at >= min(1.0, self._options.renew_every_s)
        if is_look:
            self._looked_at = now
        for place in tuple(group.places):
            for _ in range(self._pages if is_look else 1):
                persons = partial(self._in_hand.list_persons, place.keys)
                entry = await group.take(place, is_look=is_look, in_hand=persons)
                if entry is not None:
                    if is_look and place.cursor != b"-":  # there may be more of what others left
                        self._looked_at = -math.inf
                    group.go_on_behind(place)
                    return entry
                if place.cursor == b"-":
                    break
        return None

    def _begin(self, group: RedisGroup, handler: Handler, entry: Entry) -> None:
        self._in_hand.add(entry)
        task = asyncio.create_task(self._work(group, handler, entry))
        self._tasks.add(task)
        task.add_done_callback(self._end_task)

    def _end_task(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            self._fail(problem)

    def _fail(self, problem: BaseException) -> None:
        self._failure = self._failure or problem
        self.stop()

    async def _work(self, group: RedisGroup, handler: Handler, entry: Entry | None) -> None:
        """Handle a message, and then those of the same person that came meanwhile."""
        while entry is not None:
            try:
                following = await self._handle(group, handler, entry)
            finally:
                self._in_hand.remove(entry)
            entry = following
            if entry is not None:
                self._in_hand.add(entry)

    async def _handle(self, group: RedisGroup, handler: Handler, entry: Entry) -> Entry | None:
        error, is_last = "", False
        message_id = find_message_id(entry.id, entry.fields)
        limit = asyncio.timeout(self._options.cancel_after_s)
        try:
            message = decode_message(entry.id, entry.attempt, entry.fields)
            async with limit:
                answer = handler(message)
                if inspect.isawaitable(answer):  # a plain function has done its work
                    await answer
        except LeftError:
            return None
        except (Exception, asyncio.CancelledError) as problem:
            if isinstance(problem, asyncio.CancelledError) and _is_cancelled():
                raise
            is_last = isinstance(problem, GiveUpError) or entry.attempt >= self._options.max_attempts
            is_late = limit.expired()
            error = f"no end after {self._options.timeout_s:g} s" if is_late else _describe(problem)
            step = "it is the last" if is_last else f"again in {self._options.retry_after_s:g} s"
            form = "message %s: attempt %d failed (%s): %s"
            _notes.warning(form, message_id, entry.attempt, step, error, exc_info=problem)
        takes_next = not self._stopping.is_set()
        return await group.finish(entry, message_id, error, is_last=is_last, takes_next=takes_next)

    async def _renew_in_hand(self, group: RedisGroup) -> None:
        while True:
            await asyncio.sleep(self._options.renew_every_s)
            for entry in self._in_hand.pop_late():
                form = "message %s: its handler has not ended after %g s: another worker may take it"
                _notes.warning(form, find_message_id(entry.id, entry.fields), self._options.timeout_s)
            for keys, ids in self._in_hand.group_by_stream().items():
                await group.renew(keys, ids)

    @contextlib.contextmanager
    def _obeying_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()

        def obey() -> None:
            self.stop()
            release()

        def release() -> None:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

        for number in _SIGNALS:
            loop.add_signal_handler(number, obey)
        try:
            yield
        finally:
            release()


def _is_cancelled() -> bool:
    """Say whether this task is cancelled; else a handler has let a cancellation of its own get out."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _describe(problem: BaseException) -> str:
    try:
        words = (
            str(problem).encode(errors="backslashreplace").decode()
        )  # what JSON cannot carry is written out
    except Exception:
        words = "its words cannot be read"
    return f"{type(problem).__name__}: {words}" if words else type(problem).__name__
