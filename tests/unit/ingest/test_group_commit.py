"""Group commit and the processor's loop, on stand-ins whose time and failures the test decides."""

from __future__ import annotations

import asyncio

import pytest

from rfctl.errors import KeyTakenError, OverloadedError, RedisCannotNowError, RedisUnreachableError
from rfctl.ingest.group_commit import Bounds, GroupCommit
from rfctl.model.message import Message
from rfctl.model.stored import Added


def message(text: str) -> Message:
    return Message(phone="p", text=text, id=text, channel="generic")


class Store:
    def __init__(self, *failures: Exception) -> None:
        self.calls: list[list[str]] = []
        self.failures = list(failures)
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, messages) -> list[Added]:
        self.calls.append([one.text for one in messages])
        await self.open.wait()
        if self.failures:
            raise self.failures.pop(0)
        return [Added(one.text, True, 1, 5) for one in messages]


async def test_requests_that_wait_share_one_call_and_each_gets_its_own_answer():
    store = Store()
    store.open.clear()
    intake = GroupCommit(store)
    first = asyncio.create_task(intake.add([message("a")]))
    await asyncio.sleep(0)
    rest = [asyncio.create_task(intake.add([message(f"{i}"), message(f"{i}+")])) for i in range(3)]
    await asyncio.sleep(0.01)
    store.open.set()
    assert [one.phone for one in await first] == ["a"]
    assert [[one.phone for one in await task] for task in rest] == [[f"{i}", f"{i}+"] for i in range(3)]
    assert store.calls == [["a"], ["0", "0+", "1", "1+", "2", "2+"]]


async def test_a_call_whose_answer_was_lost_is_sent_again():
    store = Store(RedisUnreachableError("cut"))
    [one] = await GroupCommit(store, Bounds(pause_s=0)).add([message("a")])
    assert one.added
    assert store.calls == [["a"], ["a"]]


async def test_what_redis_refuses_is_told_at_once_and_the_next_request_is_served():
    store = Store(RedisCannotNowError("OOM"), KeyTakenError("x"))
    intake = GroupCommit(store)
    with pytest.raises(RedisCannotNowError):
        await intake.add([message("a")])
    with pytest.raises(KeyTakenError):
        await intake.add([message("b")])
    assert (await intake.add([message("c")]))[0].added


async def test_patience_ends_and_what_nobody_waits_for_is_not_sent():
    store = Store()
    store.open.clear()
    intake = GroupCommit(store, Bounds(patience_s=0.02))
    for text in ("a", "b"):
        with pytest.raises(RedisUnreachableError, match="did not confirm"):
            await intake.add([message(text)])
    store.open.set()
    await intake.settle()
    assert store.calls == [["a"]]


async def test_too_many_that_wait_are_refused_and_not_forgotten():
    store = Store()
    store.open.clear()
    intake = GroupCommit(store, Bounds(waiting=2))
    tasks = [asyncio.create_task(intake.add([message("on its way")]))]
    await asyncio.sleep(0.01)
    tasks += [asyncio.create_task(intake.add([message(str(i))])) for i in range(2)]
    await asyncio.sleep(0.01)
    with pytest.raises(OverloadedError):
        await intake.add([message("x")])
    store.open.set()
    await asyncio.gather(*tasks)


async def test_a_call_carries_no_more_than_its_bound():
    store = Store()
    store.open.clear()
    intake = GroupCommit(store, Bounds(call=2))
    tasks = [asyncio.create_task(intake.add([message(str(i))])) for i in range(5)]
    await asyncio.sleep(0.01)
    store.open.set()
    await asyncio.gather(*tasks)
    assert max(len(call) for call in store.calls) == 2
    assert sum(len(call) for call in store.calls) == 5
