"""What workers of the library read in tests: a stream as a daemon writes it, and a handler that notes what it gets."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from rfctl.model.slots import shard_tags, tag_key
from rfctl.worker import AsyncWorker, MergedMessage, Worker
from tests.support.failing import FaultPlan
from tests.support.failing_worker import PART, FailingWorker
from tests.support.least_rights import choose_worker_url
from tests.support.servers import RedisServer
from tests.support.waiting import PATIENCE_S, come_to_an_end, until


@contextmanager
def full_memory(server: RedisServer) -> Iterator[None]:
    """Let Redis refuse all that takes memory, until the block ends."""
    with server.client() as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1")
        try:
            yield
        finally:
            client.config_set("maxmemory", "0")


class OutputStream:
    """The output stream of a Redis that a daemon has begun, with this many shards."""

    def __init__(self, server: RedisServer, shards: int = 0, name: str = "rfctl:out") -> None:
        self.server = server
        self.streams = [tag_key(name, f"{{{tag}}}:") for tag in shard_tags(shards)] or [name]
        with server.client() as client:
            client.set("rfctl:shards", f"{shards}/2")
            client.set("rfctl:stream", name)

    def add(self, phone: str, text: str, *, shard: int = 0, delivery_id: str = "") -> str:
        """Write a merged message of a person; returns the id of its entry."""
        item = {"message": text, "messageId": f"id-{text}", "metadata": {"name": "Anna"}, "timestamp": 5}
        fields: dict[Any, Any] = {
            "phone": phone, "company": "7", "text": text, "count": "1", "reason": "quiet", "batch_key": phone,
            "delivery_id": delivery_id or f"d-{phone}-{text}", "messages": json.dumps([item]),
        }  # fmt: skip
        with self.server.client() as client:
            return str(client.xadd(self.streams[shard], fields))

    def read_group(self, name: str = "bot", stream: str = "") -> dict[str, Any]:
        """Return what Redis says of a consumer group; -1 pending while there is none."""
        with self.server.client() as client:
            groups: list[dict[str, Any]] = client.xinfo_groups(stream or self.streams[0])
        return next((group for group in groups if group["name"] == name), {"pending": -1, "lag": -1})

    def list_keys(self) -> set[str]:
        """Return the keys of workers that are there."""
        with self.server.client() as client:
            return set(client.keys("rfctl:*worker:*"))


class Handler:
    """Notes each message as `phone text attempt`; `act` does more, and may raise."""

    def __init__(self, act: Callable[[MergedMessage], Any] | None = None) -> None:
        self.lines: list[str] = []
        self.messages: list[MergedMessage] = []
        self._act = act

    async def __call__(self, message: MergedMessage) -> None:
        """Note a message, then do what the test says."""
        self.messages.append(message)
        self.lines.append(f"{message.phone} {message.text} {message.attempt}")
        answer = self._act(message) if self._act else None
        if asyncio.iscoroutine(answer):
            await answer

    async def wait_for(self, count: int) -> None:
        """Wait until so many messages came."""
        await until(lambda: len(self.lines) >= count)


class CallCounter(FaultPlan):
    """Lets no call of a worker fail, and counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.arm(PART)

    async def wait_for(self, verb: str, count: int) -> None:
        """Wait until a script has been run so many times more."""
        wanted = self.count(verb) + count
        await until(lambda: self.count(verb) >= wanted)

    def count(self, verb: str) -> int:
        """Return how often a script has been run."""
        return self.calls.count(f"{PART}: {verb}")


@asynccontextmanager
async def working(
    url: str, handler: Handler, plan: FaultPlan | None = None, **options: Any
) -> AsyncIterator[AsyncWorker]:
    """Run a worker until the block ends, and then to its own end. Its calls go by the plan, which counts them.

    Where the block fails, the worker is broken off: its handler may wait for what the block would have done.
    """
    mine = {"group": "bot", "retry_after_s": 0.6, **options}
    worker = FailingWorker.make(choose_worker_url(url), plan or FaultPlan(), **mine)
    task = asyncio.create_task(worker.run(handler))
    try:
        yield worker
    except BaseException as problem:
        task.cancel()
        [outcome] = await asyncio.gather(task, return_exceptions=True)
        if not isinstance(outcome, asyncio.CancelledError):
            problem.add_note(f"the worker had ended: {outcome!r}")
        raise
    worker.stop()
    await come_to_an_end(task)


def run_in_this_thread(worker: Worker, handler: Callable[[MergedMessage], object]) -> None:
    """Run a worker for plain functions until its handler stops it. Raises AssertionError if that does not happen."""
    is_late = threading.Event()

    def end() -> None:
        is_late.set()
        worker.stop()

    timer = threading.Timer(PATIENCE_S, end)
    timer.start()
    try:
        worker.run(handler)
    finally:
        timer.cancel()
        timer.join()
    assert not is_late.is_set(), f"nothing has stopped the worker within {PATIENCE_S:.0f} s"
