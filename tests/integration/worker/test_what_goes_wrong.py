"""Handlers that behave badly, entries that nobody expects, and workers that are slow: nothing is lost, held up or silent."""

from __future__ import annotations

import asyncio
import logging

import pytest

from rfctl.store.connection import Connection
from rfctl.store.dead_letters import DeadLetters
from rfctl.store.keys import Keyspace
from rfctl.worker import AsyncWorker, MergedMessage, Worker
from rfctl.worker.options import WorkerOptions
from rfctl.worker.redis_group import RedisGroup
from tests.support.servers import RedisServer
from tests.support.waiting import come_to_an_end, until, wait_until
from tests.support.worker_groups import CallCounter, Handler, OutputStream, run_in_this_thread, working

HOUR_MS = 3_600_000


@pytest.fixture
def out(server: RedisServer) -> OutputStream:
    return OutputStream(server)


class WordlessError(Exception):
    def __str__(self) -> str:
        raise TypeError("an error without words")


async def test_handler_that_cancels_itself_has_failed(out: OutputStream) -> None:
    """A library may let a cancellation of its own get out: it is none of the worker's."""

    def cancel_once(message: MergedMessage) -> None:
        if message.attempt == 1:
            raise asyncio.CancelledError

    handler = Handler(cancel_once)
    out.add("7900", "a")
    async with working(out.server.url, handler):
        await handler.wait_for(2)
    assert handler.lines == ["7900 a 1", "7900 a 2"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("file \udcff\x00 is away"), "ValueError: file \\udcff\x00 is away"),
        (WordlessError(), "WordlessError: its words cannot be read"),
    ],
    ids=["a lone surrogate", "no words"],
)
async def test_error_that_cannot_be_stored_as_it_is_is_told(
    out: OutputStream, connection: Connection, caplog: pytest.LogCaptureFixture, error: Exception, words: str
) -> None:
    caplog.set_level(logging.CRITICAL, "rfctl.worker")  # nor can the runner's channel carry it

    def fail(message: MergedMessage) -> None:
        if message.text == "a":
            raise error

    handler, letters = Handler(fail), DeadLetters(connection, Keyspace().all())
    out.add("7900", "a")
    out.add("7900", "b")
    async with working(out.server.url, handler, max_attempts=1):
        await handler.wait_for(2)
    [letter] = await letters.list_newest()
    assert [attempt.error for attempt in letter.attempts] == [words]


async def test_entry_whose_person_is_no_text_stops_no_worker(
    out: OutputStream, connection: Connection
) -> None:
    with out.server.client() as client:
        client.xadd("rfctl:out", {"phone": b"\xff\xfe", "text": "a", "messages": "no JSON"})
    out.add("7900", "b")
    handler = Handler()
    async with working(out.server.url, handler, max_attempts=1):
        await handler.wait_for(1)
        await until(lambda: out.read_group()["pending"] == 0)
    assert await DeadLetters(connection, Keyspace().all()).count() == 1


async def test_worker_never_takes_over_what_it_has_in_hand(out: OutputStream) -> None:
    """As after a handler that stopped the loop: its other messages look as if somebody had left them."""
    may_end, looks = asyncio.Event(), CallCounter()
    handler = Handler(lambda message: may_end.wait() if message.text == "a" else None)
    entry = out.add("7900", "a")
    async with working(out.server.url, handler, looks, retry_after_s=60, concurrency=2):
        await handler.wait_for(1)
        with out.server.client() as client:
            [row] = client.xpending_range("rfctl:out", "bot", "-", "+", 1)
            client.xclaim("rfctl:out", "bot", row["consumer"], 0, [entry], idle=HOUR_MS, justid=True)
        await until(lambda: looks.count("take") > 4 or len(handler.lines) > 1)
        may_end.set()
        out.add("7901", "b")
        await until(lambda: "7901 b 1" in handler.lines and is_done(out))
    assert handler.lines == ["7900 a 1", "7901 b 1"]


def is_done(out: OutputStream) -> bool:
    group = out.read_group()
    return bool(group["pending"] == 0 and group["lag"] in (0, None))


def test_function_that_does_not_end_is_told(out: OutputStream, caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker(out.server.url, group="bot", timeout_s=0.1, retry_after_s=0.5)

    def answer(message: MergedMessage) -> None:
        try:
            wait_until(lambda: "its handler has not ended after 0.1 s" in caplog.text)
        finally:
            worker.stop()

    out.add("7900", "a")
    run_in_this_thread(worker, answer)
    assert caplog.text.count("its handler has not ended") == 1
    assert out.read_group()["pending"] == 0


async def test_worker_runs_once(out: OutputStream) -> None:
    worker = AsyncWorker(out.server.url, group="bot")
    worker.stop()
    await come_to_an_end(worker.run(Handler()))
    with pytest.raises(RuntimeError, match="make another one"):
        await come_to_an_end(worker.run(Handler()))
    plain = Worker(out.server.url, group="bot")
    plain.stop()
    await asyncio.to_thread(plain.run, print)
    with pytest.raises(RuntimeError, match="make another one"):
        await asyncio.to_thread(plain.run, print)


async def test_handled_message_without_a_delivery_id_is_not_handled_again(out: OutputStream) -> None:
    """It was handled by a worker that was taken for dead; the one that has it now has died."""
    with out.server.client() as client:
        entry = client.xadd("rfctl:out", {"phone": "7900", "delivery_id": "", "messages": "[]"})
        client.xgroup_create("rfctl:out", "bot", id="0")
        client.xreadgroup("bot", "dead", {"rfctl:out": ">"}, count=1)
        client.xclaim("rfctl:out", "bot", "dead", 0, [entry], idle=60_000, justid=True)
        client.zadd("rfctl:worker:bot:done", {entry: 4_000_000_000_000})
    handler = Handler()
    async with working(out.server.url, handler):
        await until(lambda: out.read_group()["pending"] == 0)
    assert handler.lines == []


def test_coroutine_function_is_refused_and_its_message_stays(out: OutputStream) -> None:
    handler, worker = Handler(), Worker(out.server.url, group="bot")

    def begin(message: MergedMessage) -> object:
        worker.stop()
        return handler(message)

    out.add("7900", "a")
    with pytest.raises(TypeError, match="AsyncWorker runs it"):
        run_in_this_thread(worker, begin)
    assert handler.lines == []
    assert out.read_group()["pending"] == 1


async def test_plain_function_of_an_async_worker_is_called_once(out: OutputStream) -> None:
    texts: list[str] = []
    worker = AsyncWorker(out.server.url, group="bot")
    out.add("7900", "a")
    task = asyncio.create_task(worker.run(lambda message: texts.append(message.text)))
    try:
        await until(lambda: texts and out.read_group()["pending"] == 0)
    finally:
        worker.stop()
        await come_to_an_end(task)
    assert texts == ["a"]


async def test_worker_for_many_persons_looks_at_many(out: OutputStream) -> None:
    """The message that a dead worker left stands behind those of a hundred persons, whom a living one has in hand."""
    looks, calls_before = CallCounter(), list[str]()
    handler = Handler(lambda _: calls_before.extend(looks.calls))
    entries = [out.add(f"79{number:03}", "a") for number in range(101)]
    busy = RedisGroup(WorkerOptions(url=out.server.url, group="bot"))
    await busy.open()
    for _ in entries:
        assert await busy.take(busy.places[0], is_look=False)
    await busy.close()
    with out.server.client() as client:
        client.xclaim("rfctl:out", "bot", "dead", 0, [entries[-1]], idle=HOUR_MS, justid=True)
    async with working(out.server.url, handler, looks, retry_after_s=600, concurrency=60):
        await handler.wait_for(1)
    assert "worker: xread" not in calls_before, "it has waited before it had looked at all of them"
    assert handler.lines == ["79100 a 2"]


async def test_test_that_fails_waits_for_no_handler(out: OutputStream) -> None:
    """Its handler waits for what the test would have done next."""
    handler = Handler(lambda _: asyncio.Event().wait())
    out.add("7900", "a")

    async def fail() -> None:
        async with working(out.server.url, handler):
            await handler.wait_for(1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert out.read_group()["pending"] == 1
