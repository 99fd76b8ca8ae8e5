"""Group commit on a stand-in store, which answers and fails when the test decides."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial

import pytest

from rfctl.errors import KeyTakenError, OverloadedError, RedisCannotNowError, RedisUnreachableError
from rfctl.ingest.group_commit import Bounds, GroupCommit
from rfctl.model.message import Message
from rfctl.model.stored import Added
from tests.support.waiting import PATIENCE_S, until


def message(text: str, phone: str = "p") -> Message:
    return Message(phone=phone, text=text, id=text, channel="generic")


class FakeStore:
    """Records each call's texts, then waits for `gate` and raises the next of `failures`, if any is left.

    What a failing call brought is stored all the same: its answer is lost.
    """

    def __init__(self, *failures: Exception, is_open: bool = True) -> None:
        self.calls: list[list[str]] = []
        self.stored: set[str] = set()
        self.failures = list(failures)
        self.gate = asyncio.Event()
        if is_open:
            self.gate.set()

    def has_calls(self, count: int) -> bool:
        return len(self.calls) == count

    async def __call__(self, messages: Sequence[Message]) -> list[Added]:
        self.calls.append([message.text for message in messages])
        await self.gate.wait()
        before = frozenset(self.stored)
        self.stored |= {message.text for message in messages}
        if self.failures:
            raise self.failures.pop(0)
        return [Added(message.text, message.text not in before, 1, 5) for message in messages]


async def begin(group_commit: GroupCommit, *requests: list[str]) -> list[asyncio.Task[list[Added]]]:
    """Begin one request for each list of texts, and return their tasks once they are in the queue."""
    tasks = [asyncio.create_task(group_commit.add([message(text) for text in texts])) for texts in requests]
    await asyncio.sleep(0)
    return tasks


async def test_requests_that_wait_together_share_a_call_and_get_their_own_answers() -> None:
    store = FakeStore(is_open=False)
    group_commit = GroupCommit(store)
    first = await begin(group_commit, ["a"])
    await until(lambda: store.calls)
    others = await begin(group_commit, *([f"{i}", f"{i}+"] for i in range(3)))
    store.gate.set()
    phones = [[result.phone for result in results] for results in await asyncio.gather(*first, *others)]
    assert phones == [["a"], *([f"{i}", f"{i}+"] for i in range(3))]
    assert store.calls == [["a"], ["0", "0+", "1", "1+", "2", "2+"]]


async def test_call_with_a_lost_answer_is_sent_again() -> None:
    store = FakeStore(RedisUnreachableError("cut"))
    [result] = await GroupCommit(store, Bounds(retry_delay_s=0)).add([message("a")])
    assert result.added
    assert store.calls == [["a"], ["a"]]


async def test_error_that_does_not_pass_is_raised_at_once_and_the_next_request_is_served() -> None:
    store = FakeStore(RedisCannotNowError("OOM"), KeyTakenError("x"))
    group_commit = GroupCommit(store)
    with pytest.raises(RedisCannotNowError):
        await group_commit.add([message("a")])
    with pytest.raises(KeyTakenError):
        await group_commit.add([message("b")])
    assert (await group_commit.add([message("c")]))[0].added


async def test_request_that_nobody_waits_for_any_more_is_not_sent() -> None:
    store = FakeStore(is_open=False)
    group_commit = GroupCommit(store, Bounds(timeout_s=0.02))
    for text in ("a", "b"):
        with pytest.raises(RedisUnreachableError, match="did not confirm"):
            await group_commit.add([message(text)])
    store.gate.set()
    await group_commit.wait_until_idle()
    assert store.calls == [["a"]]


async def test_request_beyond_the_bound_is_rejected_and_the_others_are_stored() -> None:
    store = FakeStore(is_open=False)
    group_commit = GroupCommit(store, Bounds(pending=2))
    tasks = await begin(group_commit, ["on its way"])
    await until(lambda: store.calls)
    tasks += await begin(group_commit, ["0"], ["1"])
    with pytest.raises(OverloadedError):
        await group_commit.add([message("x")])
    store.gate.set()
    assert [result.phone for [result] in await asyncio.gather(*tasks)] == ["on its way", "0", "1"]


async def test_call_carries_no_more_messages_than_its_bound() -> None:
    store = FakeStore(is_open=False)
    group_commit = GroupCommit(store, Bounds(call=2))
    tasks = await begin(group_commit, *([f"{i}"] for i in range(5)))
    store.gate.set()
    await asyncio.gather(*tasks)
    assert max(len(call) for call in store.calls) == 2
    assert sum(len(call) for call in store.calls) == 5


async def test_close_answers_what_redis_has_not_confirmed_and_ends_the_call() -> None:
    store = FakeStore(is_open=False)
    group_commit = GroupCommit(store, Bounds(timeout_s=600))
    tasks = await begin(group_commit, ["on its way"])
    await until(lambda: store.calls)
    tasks += await begin(group_commit, ["waiting"])
    await group_commit.close()
    for task in tasks:
        with pytest.raises(RedisUnreachableError, match="the daemon stops"):
            await task
    with pytest.raises(RedisUnreachableError, match="the daemon stops"):
        await group_commit.add([message("late")])
    assert store.calls == [["on its way"]]


async def test_messages_of_an_answered_request_are_not_held_while_redis_is_silent() -> None:
    store = FakeStore(is_open=False)
    group_commit = GroupCommit(store, Bounds(timeout_s=0.01, pending=2))
    [first] = await begin(group_commit, ["on its way"])
    await until(lambda: store.calls)
    for number in range(5):  # each waits, is answered, and leaves its room to the next
        with pytest.raises(RedisUnreachableError, match="did not confirm"):
            await group_commit.add([message(f"{number}"), message(f"{number}+")])
    assert sum(len(request.messages) for request in group_commit._queue._requests) == 0
    with pytest.raises(RedisUnreachableError):
        await first
    store.gate.set()
    await group_commit.wait_until_idle()


def collect_reports() -> list[dict[str, object]]:
    """Return a list to which the loop appends what goes wrong in a callback."""
    reports: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, report: reports.append(report))
    return reports


async def test_submitted_request_is_answered_once_after_redis_has_it() -> None:
    store = FakeStore(is_open=False)
    group_commit = GroupCommit(store)
    answers: list[list[Added] | Exception] = []
    group_commit.submit([message("a"), message("b")], answers.append)
    await until(lambda: store.calls)
    assert not answers
    store.gate.set()
    await group_commit.wait_until_idle()
    assert answers == [[Added("a", True, 1, 5), Added("b", True, 1, 5)]]
    await group_commit.close()
    assert len(answers) == 1


async def test_submitted_request_that_cannot_be_taken_in_is_answered_at_once() -> None:
    group_commit = GroupCommit(FakeStore(), Bounds(pending=0))
    answers: list[list[Added] | Exception] = []
    group_commit.submit([message("a")], answers.append)
    await group_commit.close()
    group_commit.submit([message("b")], answers.append)
    assert [type(answer) for answer in answers] == [OverloadedError, RedisUnreachableError]


async def test_answer_that_fails_takes_no_other_answer_with_it() -> None:
    reports = collect_reports()
    group_commit = GroupCommit(FakeStore())
    answers: list[list[Added] | Exception] = []

    def fail(_answer: object) -> None:
        raise ZeroDivisionError

    group_commit.submit([message("a")], fail)
    group_commit.submit([message("b")], answers.append)
    await until(lambda: answers)
    assert [type(report["exception"]) for report in reports] == [ZeroDivisionError]
    assert (await group_commit.add([message("c")]))[0].added
    await group_commit.close()
    group_commit.submit([message("d")], fail)
    assert len(reports) == 2


async def test_each_request_waits_as_long_as_any_other() -> None:
    store = FakeStore(is_open=False)
    group_commit = GroupCommit(store, Bounds(timeout_s=0.05))
    loop = asyncio.get_running_loop()
    waits: dict[str, float] = {}

    def submit(text: str) -> None:
        begun = loop.time()
        group_commit.submit([message(text)], lambda _: waits.update({text: loop.time() - begun}))

    for text in ("a", "b", "c"):
        submit(text)
        await asyncio.sleep(0.02)
    await until(lambda: len(waits) == 3)
    assert min(waits.values()) >= 0.05 - time.get_clock_info("monotonic").resolution
    assert list(waits) == ["a", "b", "c"]
    store.gate.set()
    await group_commit.wait_until_idle()


async def test_request_whose_task_was_cancelled_is_not_sent() -> None:
    store = FakeStore(is_open=False)
    group_commit = GroupCommit(store)
    first, second, third = await begin(group_commit, ["a"], ["b"], ["c"])
    await until(lambda: store.calls)
    [fourth] = await begin(group_commit, ["d"])
    fourth.cancel()
    await asyncio.wait({fourth})
    store.gate.set()
    await asyncio.gather(first, second, third)
    await group_commit.wait_until_idle()
    assert store.calls == [["a", "b", "c"]]


async def test_bug_of_the_store_is_reported_and_the_next_request_is_served() -> None:
    reports = collect_reports()
    group_commit = GroupCommit(FakeStore(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        await group_commit.add([message("a")])
    assert (await group_commit.add([message("b")]))[0].added
    assert [type(report["exception"]) for report in reports] == [ZeroDivisionError]


async def test_several_calls_are_on_their_way_and_a_phone_is_in_one_of_them() -> None:
    store = FakeStore(is_open=False)
    group_commit = GroupCommit(store, Bounds(calls=3))
    for number, phone in enumerate("abcd", start=1):
        group_commit.submit([message(f"{phone}1", phone)], lambda _: None)
        group_commit.submit([message(f"{phone}2", phone)], lambda _: None)
        await until(partial(store.has_calls, min(3, number)))
        group_commit.submit([message(f"{phone}3", phone)], lambda _: None)
    assert store.calls == [["a1", "a2"], ["b1", "b2"], ["c1", "c2"]]
    store.gate.set()
    await group_commit.wait_until_idle()
    order = [text for call in store.calls for text in call]
    assert [[text for text in order if text[0] == phone] for phone in "abcd"] == [
        [f"{phone}{number}" for number in (1, 2, 3)] for phone in "abcd"
    ]


async def test_later_message_of_a_phone_waits_until_its_call_was_repeated() -> None:
    store = FakeStore(RedisUnreachableError("cut"), is_open=False)
    group_commit = GroupCommit(store, Bounds(retry_delay_s=0, timeout_s=PATIENCE_S))
    tasks = await begin(group_commit, ["a1"])
    await until(lambda: store.calls)
    tasks += await begin(group_commit, ["a2"])
    store.gate.set()
    await asyncio.gather(*tasks)
    assert store.calls == [["a1"], ["a1"], ["a2"]]


@pytest.mark.parametrize("calls", [1, 4])
async def test_request_that_comes_in_the_turn_in_which_the_last_call_ends_is_sent(calls: int) -> None:
    group_commit = GroupCommit(FakeStore(), Bounds(calls=calls, timeout_s=PATIENCE_S))

    async def send_one_after_another(phone: str) -> None:
        for number in range(10):
            await group_commit.add([message(f"{phone}{number}", phone)])

    async with asyncio.timeout(PATIENCE_S / 2):
        await asyncio.gather(*(send_one_after_another(f"{phone}") for phone in range(3 * calls)))
