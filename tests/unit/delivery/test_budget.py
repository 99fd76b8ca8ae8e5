"""The bytes of messages in hand: nothing is read while there are too many."""

from __future__ import annotations

import asyncio

from rfctl.delivery.budget import SMALL_BYTES, ByteBudget


async def let_others_run() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_nothing_is_read_until_something_is_given_back() -> None:
    budget, began = ByteBudget(10), []

    async def read(size: int) -> None:
        async with budget.reading():
            began.append(size)
            budget.take(size)

    budget.take(9)
    reads = [asyncio.create_task(read(size)) for size in (6, 7, 8)]
    await let_others_run()
    assert (began, budget.bytes, budget.is_full) == ([6], 15, True), "one message may exceed the limit"
    budget.give_back(5)
    await let_others_run()
    assert began == [6], "it is still full"
    budget.give_back(1)
    await let_others_run()
    assert (began, budget.bytes) == ([6, 7], 16), "the next waits until the size of this is counted"
    budget.give_back(16)
    await asyncio.gather(*reads)
    assert began == [6, 7, 8]


def test_listener_hears_of_everything_that_is_given_back() -> None:
    budget, heard = ByteBudget(10), []
    budget.call_when_free(lambda: heard.append(budget.bytes))
    budget.take(30)
    budget.give_back(10)
    budget.give_back(20)
    assert heard == [20, 0]


async def test_small_messages_are_read_side_by_side_as_long_as_there_is_room() -> None:
    budget, inside, go_on = ByteBudget(2 * SMALL_BYTES), [], asyncio.Event()

    async def read(number: int) -> None:
        async with budget.reserving():
            inside.append(number)
            await go_on.wait()

    reads = [asyncio.create_task(read(number)) for number in range(4)]
    await let_others_run()
    assert (inside, budget.bytes) == ([0, 1], 2 * SMALL_BYTES)
    go_on.set()
    await asyncio.gather(*reads)
    assert (inside, budget.bytes) == ([0, 1, 2, 3], 0)
