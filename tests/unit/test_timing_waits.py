"""Waits for the first of several: what is cut off has ended before whoever waited goes on."""

from __future__ import annotations

import asyncio

import pytest

from rfctl.timing import wait_for_first


async def end_late(ends: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)  # as a connection does that says goodbye
        ends.append("cut off")


async def test_wait_that_is_cut_off_has_ended() -> None:
    ends: list[str] = []
    await wait_for_first(end_late(ends), asyncio.sleep(0))
    assert ends == ["cut off"]


async def test_first_error_is_raised_when_the_others_have_ended() -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise ValueError("no")

    ends: list[str] = []
    with pytest.raises(ValueError, match="no"):
        await wait_for_first(end_late(ends), fail())
    assert ends == ["cut off"]


async def test_who_is_cut_off_cuts_off_all() -> None:
    ends: list[str] = []
    task = asyncio.create_task(wait_for_first(end_late(ends), end_late(ends)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ends == ["cut off", "cut off"]
