"""Waits that an event can end: the first one ends them all, and none is left behind."""

from __future__ import annotations

import asyncio

import pytest

from rfctl.timing import wait_for_first


async def test_waits_that_are_cancelled_have_ended_too() -> None:
    ended: list[str] = []

    async def wait(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # as a socket that is closed
            ended.append(name)

    await wait_for_first(asyncio.sleep(0), wait("a"), wait("b"))
    assert ended == ["a", "b"]


async def test_error_of_the_first_is_raised() -> None:
    async def fail() -> None:
        raise LookupError("no")

    with pytest.raises(LookupError):
        await wait_for_first(fail(), asyncio.Event().wait())


async def test_who_is_cancelled_cancels_all() -> None:
    ended: list[str] = []

    async def wait(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(name)

    task = asyncio.create_task(wait_for_first(wait("a"), wait("b")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["a", "b"]
