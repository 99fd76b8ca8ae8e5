"""The worker for plain functions: the handler runs in the caller's thread, one message at a time.

A thread beside it speaks with Redis, so that signs of life go on while the handler works.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType

from rfctl.worker.async_worker import AsyncWorker
from rfctl.worker.merged_message import MergedMessage
from rfctl.worker.options import LeftError, WorkerOptions

Handler = Callable[[MergedMessage], object]


@dataclass(frozen=True, slots=True)
class _Job:
    """One message for the handler; the future hears how it ended."""

    message: MergedMessage
    outcome: asyncio.Future[None]


class Worker:
    """Handles merged messages with a plain function, one at a time. For more at once start more processes.

    The options are those of `AsyncWorker`. A function cannot be cancelled: after `timeout_s` its message may go to another
    worker. Raises WorkerOptionError.
    """

    def __init__(
        self,
        url: str,
        *,
        group: str,
        retry_after_s: float = 30.0,
        max_attempts: int = 5,
        timeout_s: float = 600.0,
        remember_s: float = 86_400.0,
        prefix: str = "",
    ) -> None:
        self._worker = AsyncWorker.from_options(WorkerOptions(
            url=url, group=group, retry_after_s=retry_after_s, max_attempts=max_attempts, timeout_s=timeout_s,
            remember_s=remember_s, prefix=prefix, can_cancel=False,
        ))  # fmt: skip
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failure: BaseException | None = None
        self._is_stopping = False

    def stop(self) -> None:
        """End `run` as soon as the message in hand is handled. Any thread, handler or signal may call it."""
        self._is_stopping = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has just ended
                self._loop.call_soon_threadsafe(self._worker.stop)

    def run(self, handler: Handler) -> None:
        """Handle messages until SIGTERM, Ctrl-C or `stop`; then finish the message in hand. A second signal ends at once.

        While Redis is away it waits. A worker runs once. Raises CredentialsRefusedError, OtherLayoutError, TypeError for a
        coroutine function and, the second time, RuntimeError.
        """
        thread = threading.Thread(target=self._speak_with_redis, name="rfctl-worker", daemon=True)
        with self._obeying_signals():
            thread.start()
            try:
                self._handle_all(handler)
            finally:
                self.stop()
                thread.join()
        if self._failure is not None:
            raise self._failure

    def _speak_with_redis(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as problem:
            self._failure = problem
        finally:
            self._jobs.put(None)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        if self._is_stopping:
            self._worker.stop()
        await self._worker.run(self._pass_on)

    async def _pass_on(self, message: MergedMessage) -> None:
        outcome = asyncio.get_running_loop().create_future()
        self._jobs.put(_Job(message, outcome))
        await outcome

    def _handle_all(self, handler: Handler) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                answer = handler(job.message)
            except Exception as problem:
                self._end(job, problem)
            except BaseException:  # a second Ctrl-C, or sys.exit()
                self._end(job, LeftError())
                raise
            else:
                if inspect.iscoroutine(answer):
                    answer.close()  # it has not begun, and the message is not handled
                    self._end(job, LeftError())
                    raise TypeError(
                        "the handler is a coroutine function: AsyncWorker runs it, Worker does not"
                    )
                self._end(job, None)

    def _end(self, job: _Job, problem: Exception | None) -> None:
        def end() -> None:
            if problem is None:
                job.outcome.set_result(None)
            else:
                job.outcome.set_exception(problem)

        job.outcome.get_loop().call_soon_threadsafe(end)

    @contextlib.contextmanager
    def _obeying_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def restore() -> None:
            for number, action in before.items():
                signal.signal(number, action)

        def obey(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
            restore()
            self.stop()

        for number in before:
            signal.signal(number, obey)
        try:
            yield
        finally:
            restore()
