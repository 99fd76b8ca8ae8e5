from __future__ import annotations

import asyncio

import pytest

from rfctl.sinks.deadlines import Deadlines
from tests.support.waiting import PATIENCE_S

SOON_S = 0.02


async def wait_for_ever(deadlines: Deadlines) -> None:
    with deadlines.limit():
        await asyncio.Event().wait()


async def test_each_limit_ends_its_own_task() -> None:
    deadlines = Deadlines(SOON_S)
    results = await asyncio.gather(*(wait_for_ever(deadlines) for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [TimeoutError] * 3
    with pytest.raises(TimeoutError):  # after the timer has found nothing more
        await wait_for_ever(deadlines)


async def test_a_later_limit_ends_later() -> None:
    deadlines, loop = Deadlines(SOON_S), asyncio.get_running_loop()
    first = asyncio.create_task(wait_for_ever(deadlines))
    await asyncio.sleep(SOON_S / 2)
    began_at = loop.time()
    with pytest.raises(TimeoutError):
        await wait_for_ever(deadlines)
    assert loop.time() - began_at >= SOON_S
    with pytest.raises(TimeoutError):
        await first


async def test_what_ends_in_time_is_left_alone() -> None:
    deadlines = Deadlines(SOON_S)
    for _ in range(3):
        with deadlines.limit():
            await asyncio.sleep(0)
        await asyncio.sleep(2 * SOON_S)
    with pytest.raises(ValueError, match="its own"):
        await fail(deadlines)
    await asyncio.sleep(2 * SOON_S)


async def fail(deadlines: Deadlines) -> None:
    with deadlines.limit():
        raise ValueError("its own")


async def test_a_task_that_is_cancelled_is_not_late() -> None:
    task = asyncio.create_task(wait_for_ever(Deadlines(PATIENCE_S)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_goes_on_after_the_limit_has_passed() -> None:
    deadlines = Deadlines(SOON_S)

    async def be_cancelled_and_late() -> None:
        with deadlines.limit() as limit:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                limit.expire()
                raise

    task = asyncio.create_task(be_cancelled_and_late())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_limit_is_for_a_task() -> None:
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def enter() -> None:
        try:
            with Deadlines(SOON_S).limit():
                ended.set_result("entered")
        except RuntimeError as problem:
            ended.set_result(str(problem))

    asyncio.get_running_loop().call_soon(enter)
    assert await ended == "a limit is for a task"
