"""A worker of the library whose calls to Redis go by a plan, and a handler that says what the test wants."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

import redis.asyncio
from redis import exceptions as rx

from rfctl.errors import RedisCannotNowError, RedisUnreachableError
from rfctl.worker import AsyncWorker, MergedMessage
from rfctl.worker.options import WorkerOptions
from rfctl.worker.redis_group import RedisGroup
from rfctl.worker.scripts import Verb, read_script
from tests.support.failing import FaultPlan

GROUP = "workers"
PART = "worker"
_VERBS: tuple[Verb, ...] = ("take", "finish", "renew", "leave")
_BY_SHA = {read_script(verb).sha: verb for verb in _VERBS}
_CALLS = ("get", "evalsha", "script_load", "xgroup_create", "xinfo_groups", "xrange", "xread")


class ScriptedHandler:
    """Handles every message, but for what `answers` has to a text, in turn: an error, or a wait."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Exception | Callable[[], Awaitable[object]]]] = {}
        self.taken: list[MergedMessage] = []
        """What was handled to its end."""
        self.begun: list[tuple[str, int]] = []
        """The text and the attempt of each call."""

    async def __call__(self, message: MergedMessage) -> None:
        """Handle a message."""
        self.begun.append((message.text, message.attempt))
        if self.answers.get(message.text):
            answer = self.answers[message.text].pop(0)
            if isinstance(answer, Exception):
                raise answer
            await answer()
        self.taken.append(message)

    def list_attempts(self, text: str) -> list[int]:
        """Return the attempts at a text, in their order."""
        return [attempt for begun, attempt in self.begun if begun == text]


class _FailingClient:
    """Stands before a client of redis-py."""

    def __init__(self, client: redis.asyncio.Redis, plan: FaultPlan) -> None:
        self._client, self._plan = client, plan

    def __getattr__(self, name: str) -> Any:
        send = getattr(self._client, name)
        if name not in _CALLS:
            return send

        async def call(*words: Any, **options: Any) -> Any:
            shown = _BY_SHA.get(words[0], name) if name == "evalsha" else name
            try:
                return await self._plan.call(PART, shown, lambda: send(*words, **options))
            except RedisUnreachableError as problem:
                raise rx.ConnectionError(str(problem)) from None
            except RedisCannotNowError as problem:
                raise rx.OutOfMemoryError(str(problem)) from None

        return call


class FailingGroup(RedisGroup):
    """A group of workers whose calls go by the plan."""

    def __init__(
        self, options: WorkerOptions, plan: FaultPlan, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(options, clock)
        self._client = cast("redis.asyncio.Redis", _FailingClient(self._client, plan))
        self._waiting = cast("redis.asyncio.Redis", _FailingClient(self._waiting, plan))


class FailingWorker(AsyncWorker):
    """A worker whose calls go by the plan."""

    plan: FaultPlan

    @classmethod
    def make(cls, url: str, plan: FaultPlan, **options: Any) -> FailingWorker:
        """Return a worker of the group of these tests; nothing is sent yet."""
        defaults = {"group": GROUP, "retry_after_s": 0.5, "concurrency": 10}
        worker = cls.from_options(WorkerOptions(url=url, **{**defaults, **options}))
        worker.plan = plan
        return worker

    def _open_group(self) -> RedisGroup:
        return FailingGroup(self._options, self.plan)
