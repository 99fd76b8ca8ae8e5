"""Calls that wait at the same moment are one call, and everybody gets their own result."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from rfctl.errors import KeyTakenError, RedisUnreachableError
from rfctl.store.shared_calls import SharedCalls


class Server:
    """Answers each item with its text in capitals; a call waits at the gate. `bad` items fail as `fails` says."""

    def __init__(self, bad: str = "", fails: Exception | None = None) -> None:
        self.bad, self.fails = bad, fails
        self.calls: list[list[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def call(self, items: Sequence[str]) -> list[str | Exception]:
        self.calls.append(list(items))
        await self.gate.wait()
        if self.fails is not None and self.bad in items:
            raise self.fails
        return [KeyTakenError("taken") if item == "taken" else item.upper() for item in items]


async def gather(shared: SharedCalls[str, str], items: Sequence[str]) -> list[str | BaseException]:
    return await asyncio.gather(*map(shared.make, items), return_exceptions=True)


async def test_items_of_the_same_moment_share_a_call_within_its_bounds() -> None:
    server = Server()
    shared = SharedCalls(server.call, max_items=3, max_bytes=4, measure=len)
    assert await gather(shared, ["a", "b", "c", "d", "long text", "e"]) == [*list("ABCD"), "LONG TEXT", "E"]
    assert sorted(server.calls) == [["a", "b", "c"], ["d"], ["e"], ["long text"]]


async def test_error_of_an_item_is_that_of_its_caller_alone() -> None:
    first, taken, last = await gather(SharedCalls(Server().call, max_items=9), ["a", "taken", "c"])
    assert (first, last) == ("A", "C")
    assert isinstance(taken, KeyTakenError)


async def test_call_that_is_refused_is_made_again_one_by_one() -> None:
    server = Server("b", KeyTakenError("no"))
    first, second, third = await gather(SharedCalls(server.call, max_items=9), ["a", "b", "c"])
    assert (first, third) == ("A", "C")
    assert isinstance(second, KeyTakenError)
    assert server.calls == [["a", "b", "c"], ["a"], ["b"], ["c"]]


@pytest.mark.parametrize("problem", [RedisUnreachableError("cut"), ZeroDivisionError("a bug")])
async def test_failure_that_concerns_all_is_everybodys_at_once(problem: Exception) -> None:
    server = Server("b", problem)
    assert await gather(SharedCalls(server.call, max_items=9), ["a", "b", "c"]) == [problem] * 3
    assert server.calls == [["a", "b", "c"]]


async def test_too_few_results_are_an_error_and_no_endless_wait() -> None:
    async def call(items: Sequence[str]) -> list[str]:
        return list(items)[1:]

    results = await gather(SharedCalls(call, max_items=9), ["a", "b"])
    assert [type(result) for result in results] == [ValueError, ValueError]


async def test_item_whose_caller_is_gone_is_not_sent() -> None:
    server = Server()
    server.gate.clear()
    shared = SharedCalls(server.call, max_items=1)
    callers = [asyncio.create_task(shared.make(item)) for item in ("a", "b", "c", "d")]
    while len(server.calls) < 2:
        await asyncio.sleep(0)
    callers[2].cancel()
    await asyncio.wait([callers[2]])
    server.gate.set()
    await asyncio.wait(callers)
    assert server.calls == [["a"], ["b"], ["d"]]


async def test_item_that_comes_in_the_very_step_in_which_a_sender_ends_is_sent() -> None:
    shared = SharedCalls(Server().call, max_items=1)

    async def make_again_and_again() -> None:
        for _ in range(5):
            assert await shared.make("a") == "A"

    async with asyncio.timeout(30):
        await asyncio.gather(make_again_and_again(), make_again_and_again())
