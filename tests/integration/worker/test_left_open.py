"""A worker that is broken off at any moment leaves no connection open."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rfctl.worker import AsyncWorker
from rfctl.worker.options import WorkerOptions
from rfctl.worker.redis_group import RedisGroup
from tests.support.servers import RedisServer
from tests.support.waiting import until
from tests.support.worker_groups import Handler, OutputStream


@contextmanager
def nothing_left_open() -> Iterator[None]:
    """Fail if the block forgets a connection that it has not closed."""
    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        yield
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


async def step(count: int) -> None:
    """Let the loop go round so often."""
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("steps", range(1, 10))
async def test_group_whose_end_is_cancelled_is_closed(server: RedisServer, steps: int) -> None:
    OutputStream(server)
    with nothing_left_open():
        group = RedisGroup(WorkerOptions(url=server.url, group="bot"))
        await group.open()
        await group.wait_for_more()
        closing = asyncio.create_task(group.close())
        await step(steps)
        closing.cancel()
        await step(1)
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        del group, closing


@pytest.mark.parametrize("again_after", [1, 9], ids=lambda steps: f"again after {steps}")
@pytest.mark.parametrize("steps", [1, 5, 21, 89])
async def test_worker_that_is_broken_off_while_it_begins_is_closed(
    server: RedisServer, steps: int, again_after: int
) -> None:
    OutputStream(server)
    with nothing_left_open():
        task = asyncio.create_task(AsyncWorker(server.url, group="bot").run(Handler()))
        await step(steps)
        task.cancel()
        await step(again_after)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        del task


@pytest.mark.parametrize("steps", [1, 3, 8])
async def test_worker_that_is_broken_off_while_it_stops_is_closed(server: RedisServer, steps: int) -> None:
    out, handler = OutputStream(server), Handler()
    out.add("7900", "a")
    with nothing_left_open():
        worker = AsyncWorker(server.url, group="bot")
        task = asyncio.create_task(worker.run(handler))
        await until(lambda: handler.lines and out.read_group()["pending"] == 0)
        worker.stop()
        await step(steps)
        task.cancel()
        await step(2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        del worker, task
