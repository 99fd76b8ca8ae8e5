"""The library for workers on a real server: what is handled, in which order, how often, and what is left."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from rfctl.assembly.rights import build_worker_rights
from rfctl.errors import CredentialsRefusedError, OtherLayoutError, RedisUnreachableError
from rfctl.store.connection import Connection
from rfctl.store.dead_letters import DeadLetters
from rfctl.store.keys import Keyspace
from rfctl.worker import AsyncWorker, GiveUpError, MergedMessage, Worker
from tests.conftest import configure
from tests.support.servers import RedisServer, ServerMaker
from tests.support.users import list_denials, make_user
from tests.support.waiting import come_to_an_end, until
from tests.support.worker_groups import CallCounter, Handler, OutputStream, run_in_this_thread, working


@pytest.fixture
def out(server: RedisServer) -> OutputStream:
    return OutputStream(server)


def is_done(out: OutputStream) -> bool:
    group = out.read_group()
    return bool(group["pending"] == 0 and group["lag"] in (0, None))


async def test_message_is_acknowledged_when_the_handler_has_ended(out: OutputStream) -> None:
    may_end = asyncio.Event()
    handler = Handler(lambda _: may_end.wait())
    out.add("7900", "a")
    async with working(out.server.url, handler):
        await handler.wait_for(1)
        assert out.read_group()["pending"] == 1
        may_end.set()
        await until(lambda: is_done(out))
    [message] = handler.messages
    assert (message.phone, message.text, message.company, message.batch_key) == ("7900", "a", "7", "7900")
    assert (message.id, message.ids, message.metadata) == ("d-7900-a", ("id-a",), {"name": "Anna"})
    assert (message.messages[0].text, message.messages[0].sent_ms) == ("a", 5)


async def test_messages_before_the_group_was_made_are_read(out: OutputStream) -> None:
    for text in "abc":
        out.add("7900", text)
    handler = Handler()
    async with working(out.server.url, handler):
        await handler.wait_for(3)
    assert handler.lines == ["7900 a 1", "7900 b 1", "7900 c 1"]


async def test_person_has_their_messages_in_order_with_several_workers(out: OutputStream) -> None:
    """Each handler of a person must end before the next begins, whichever worker has it."""
    texts = [f"{number:02}" for number in range(12)]
    busy: set[str] = set()
    clashes: list[str] = []

    async def act(message: MergedMessage) -> None:
        if message.phone in busy:
            clashes.append(message.text)
        busy.add(message.phone)
        await asyncio.sleep(0.005)
        busy.discard(message.phone)

    handler = Handler(act)
    async with (
        working(out.server.url, handler, concurrency=3),
        working(out.server.url, handler, concurrency=3),
    ):
        for text in texts:
            for phone in ("1", "2", "3", "4"):
                out.add(phone, text)
        await handler.wait_for(48)
        await until(lambda: is_done(out))
    assert clashes == []
    for phone in ("1", "2", "3", "4"):
        assert [line for line in handler.lines if line.startswith(phone)] == [
            f"{phone} {text} 1" for text in texts
        ]
    assert out.list_keys() <= {"rfctl:worker:bot:done", "rfctl:worker:bot:again"}


async def test_persons_are_handled_side_by_side(out: OutputStream) -> None:
    both = asyncio.Barrier(2)
    handler = Handler(lambda _: both.wait())
    out.add("1", "a")
    out.add("2", "a")
    async with working(out.server.url, handler, concurrency=2):
        await until(lambda: is_done(out) and len(handler.lines) == 2)


async def test_failed_message_comes_again_before_what_is_behind_it(out: OutputStream) -> None:
    def fail_twice(message: MergedMessage) -> None:
        if message.text == "a" and message.attempt < 3:
            raise ValueError("the model is away")

    handler = Handler(fail_twice)
    out.add("7900", "a")
    out.add("7900", "b")
    async with working(out.server.url, handler):
        await handler.wait_for(4)
        await until(lambda: is_done(out))
    assert handler.lines == ["7900 a 1", "7900 a 2", "7900 a 3", "7900 b 1"]


async def test_failure_acknowledges_nothing(out: OutputStream, connection: Connection) -> None:
    def fail(message: MergedMessage) -> None:
        raise ValueError("the model is away")

    async def is_over() -> bool:
        return out.read_group()["pending"] == 0 or bool(
            await connection.call("EXISTS", "rfctl:worker:bot:failures")
        )

    out.add("7900", "a")
    handler = Handler(fail)
    async with working(out.server.url, handler, retry_after_s=40):
        await handler.wait_for(1)
        await until(is_over)
    assert out.read_group()["pending"] == 1


async def test_last_failure_makes_a_dead_letter_that_can_come_again(
    out: OutputStream, connection: Connection
) -> None:
    is_up = False

    def fail(message: MergedMessage) -> None:
        if message.text == "a" and not is_up:
            raise ValueError("no answer")

    handler, letters = Handler(fail), DeadLetters(connection, Keyspace().all())
    out.add("7900", "a")
    out.add("7900", "b")
    async with working(out.server.url, handler, max_attempts=2):
        await handler.wait_for(3)
        [letter] = await letters.list_newest()
        assert (letter.sink, letter.group, letter.entry.merged.text) == ("group:bot", "bot", "a")
        assert [attempt.error for attempt in letter.attempts] == ["ValueError: no answer"] * 2
        is_up = True
        assert await letters.retry(letter)
        await handler.wait_for(4)
        await until(lambda: out.read_group(stream="rfctl:worker:bot:again")["pending"] == 0)
    assert handler.lines == ["7900 a 1", "7900 a 2", "7900 b 1", "7900 a 1"]
    assert await letters.count() == 0
    with out.server.client() as client:
        assert client.xlen("rfctl:worker:bot:again") == 0


async def test_handler_can_give_a_message_up_at_once(out: OutputStream, connection: Connection) -> None:
    def give_up(message: MergedMessage) -> None:
        raise GiveUpError("no such person")

    handler = Handler(give_up)
    out.add("7900", "a")
    async with working(out.server.url, handler):
        await until(lambda: DeadLetters(connection, Keyspace().all()).count())
    assert handler.lines == ["7900 a 1"]


async def test_message_that_comes_again_is_not_handled_twice(
    out: OutputStream, caplog: pytest.LogCaptureFixture
) -> None:
    handler = Handler()
    out.add("7900", "a", delivery_id="same")
    out.add("7900", "b", delivery_id="same")
    out.add("7901", "c", delivery_id="same")
    async with working(out.server.url, handler, concurrency=1):
        await until(lambda: is_done(out) and handler.lines)
    assert handler.lines == ["7900 a 1"]
    assert caplog.text.count("came again, and was handled before") == 2


async def test_long_handler_keeps_its_message(out: OutputStream) -> None:
    """Longer than `retry_after_s`, beside a worker that would take it over."""
    may_end = asyncio.Event()
    first, second = Handler(lambda _: may_end.wait()), Handler()
    signs, looks = CallCounter(), CallCounter()
    out.add("7900", "a")
    async with working(out.server.url, first, signs, retry_after_s=0.5, concurrency=1):
        await first.wait_for(1)
        async with working(out.server.url, second, looks, retry_after_s=0.5):
            out.add("7901", "b")
            await second.wait_for(1)
            await signs.wait_for("renew", 4)  # four of them make up `retry_after_s`
            await looks.wait_for("take", 3)
            await signs.wait_for("renew", 4)
            await looks.wait_for("take", 3)
            may_end.set()
            await until(lambda: is_done(out))
    assert (first.lines, second.lines) == (["7900 a 1"], ["7901 b 1"])


async def test_worker_that_was_taken_for_dead_leaves_the_message_to_the_other(
    out: OutputStream, caplog: pytest.LogCaptureFixture
) -> None:
    """Another consumer has its message; its failure must not put the message back, nor take the person's next."""
    may_end = asyncio.Event()

    def act(message: MergedMessage) -> Any:
        return fail_later(may_end) if message.text == "a" else None

    handler = Handler(act)
    first = out.add("7900", "a")
    out.add("7900", "b")
    async with working(out.server.url, handler, retry_after_s=40):
        await handler.wait_for(1)
        with out.server.client() as client:
            client.xclaim("rfctl:out", "bot", "other", 0, [first], justid=True)
            may_end.set()
            await until(lambda: "another worker has taken it over" in caplog.text)
            [row] = client.xpending_range("rfctl:out", "bot", first, first, 1)
    assert row["consumer"] == "other"
    assert handler.lines == ["7900 a 1"]


async def fail_later(may_end: asyncio.Event) -> None:
    await may_end.wait()
    raise GiveUpError("no")


async def test_handler_without_an_end_is_cancelled_and_fails(
    out: OutputStream, connection: Connection
) -> None:
    handler = Handler(lambda _: asyncio.Event().wait())
    out.add("7900", "a")
    async with working(out.server.url, handler, timeout_s=0.1, max_attempts=1):
        letters = DeadLetters(connection, Keyspace().all())
        await until(letters.count)
    [letter] = await letters.list_newest()
    assert letter.attempts[0].error == "no end after 0.1 s"


async def test_message_that_kills_each_worker_is_set_aside(out: OutputStream, connection: Connection) -> None:
    """Another program takes it as a worker does that dies: no failure is ever told."""
    out.add("7900", "a")
    out.add("7900", "b")
    with out.server.client() as client:
        client.xgroup_create("rfctl:out", "bot", id="0")
        [[_, [[entry, _]]]] = client.xreadgroup("bot", "killed", {"rfctl:out": ">"}, count=1)
        client.xclaim("rfctl:out", "bot", "killed", 0, [entry], idle=60_000, retrycount=5)
    handler = Handler()
    async with working(out.server.url, handler, max_attempts=5):
        await handler.wait_for(1)
    assert handler.lines == ["7900 b 1"]
    [letter] = await DeadLetters(connection, Keyspace().all()).list_newest()
    assert letter.attempts[0].error == "its worker ended, or gave no sign of life"


async def test_what_another_program_has_read_is_taken_over(out: OutputStream) -> None:
    """A hundred entries of a worker of another kind: more than one look takes in."""
    for number in range(60):
        out.add(str(number), "a")
    with out.server.client() as client:
        client.xgroup_create("rfctl:out", "bot", id="0")
        client.xreadgroup("bot", "other", {"rfctl:out": ">"}, count=60)
    handler = Handler()
    async with working(out.server.url, handler, concurrency=20):
        await handler.wait_for(60)
        await until(lambda: is_done(out))
    assert sorted(handler.lines) == sorted(f"{number} a 2" for number in range(60))


async def test_message_that_somebody_deleted_holds_nobody_up(
    out: OutputStream, caplog: pytest.LogCaptureFixture
) -> None:
    def fail_once(message: MergedMessage) -> None:
        if message.text == "a":
            raise ValueError("again")

    handler = Handler(fail_once)
    first = out.add("7900", "a")
    out.add("7900", "b")
    async with working(out.server.url, handler):
        await handler.wait_for(1)
        with out.server.client() as client:
            client.xdel("rfctl:out", first)
        await handler.wait_for(2)
        await until(lambda: is_done(out))
    assert handler.lines[-1] == "7900 b 1"
    assert f"{first} was deleted" in caplog.text


async def test_message_that_an_operator_acknowledged_holds_nobody_up(out: OutputStream) -> None:
    def fail(message: MergedMessage) -> None:
        if message.text == "a":
            raise ValueError("again")

    handler = Handler(fail)
    first = out.add("7900", "a")
    out.add("7900", "b")
    async with working(out.server.url, handler, retry_after_s=2):
        await handler.wait_for(1)
        with out.server.client() as client:
            client.xack("rfctl:out", "bot", first)
        await handler.wait_for(2)
    assert handler.lines == ["7900 a 1", "7900 b 1"]


async def test_every_shard_is_read(server: RedisServer) -> None:
    out = OutputStream(server, shards=3)
    handler = Handler()
    for shard in range(3):
        out.add(f"7{shard}", "a", shard=shard)
    async with working(server.url, handler):
        await handler.wait_for(3)
        out.add("72", "b", shard=2)
        await handler.wait_for(4)
    assert sorted(handler.lines) == ["70 a 1", "71 a 1", "72 a 1", "72 b 1"]


async def test_worker_waits_for_the_first_daemon(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    handler = Handler()
    async with working(server.url, handler):
        await until(lambda: "no rfctl serve has begun Redis" in caplog.text)
        OutputStream(server, shards=2).add("7900", "a", shard=1)
        await handler.wait_for(1)


async def test_other_layout_is_refused(server: RedisServer) -> None:
    with server.client() as client:
        client.set("rfctl:shards", "0/9")
    with pytest.raises(OtherLayoutError, match="layout 2"):
        await come_to_an_end(AsyncWorker(server.url, group="bot").run(Handler()))


async def test_group_that_was_deleted_is_made_again(out: OutputStream) -> None:
    handler = Handler()
    async with working(out.server.url, handler):
        out.add("7900", "a")
        await handler.wait_for(1)
        await until(lambda: is_done(out))
        with out.server.client() as client:
            client.xgroup_destroy("rfctl:out", "bot")
        out.add("7900", "b")
        await handler.wait_for(2)
    assert handler.lines == ["7900 a 1", "7900 b 1"]


async def test_worker_goes_on_when_redis_is_back(
    own_server: ServerMaker, caplog: pytest.LogCaptureFixture
) -> None:
    server = own_server()
    out = OutputStream(server)
    may_end = asyncio.Event()
    handler = Handler(lambda message: may_end.wait() if message.text == "a" else None)
    async with working(server.url, handler, retry_after_s=30):
        out.add("7900", "a")
        await handler.wait_for(1)
        server.kill()
        may_end.set()  # its end is told to a server that is not there
        await until(lambda: "waiting" in caplog.text)
        await asyncio.to_thread(server.start)
        out.add("7900", "b")
        await handler.wait_for(2)
        await until(lambda: is_done(out))
    assert handler.lines == ["7900 a 1", "7900 b 1"]
    assert "is back" in caplog.text


async def test_worker_ends_while_redis_is_away(
    own_server: ServerMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rfctl.worker.patience._LAST_PATIENCE_S", 0.1)
    server = own_server()
    out, handler = OutputStream(server), Handler()
    worker = AsyncWorker(server.url, group="bot")
    task = asyncio.create_task(worker.run(handler))
    out.add("7900", "a")
    try:
        await handler.wait_for(1)
    finally:
        server.kill()
        worker.stop()
        with pytest.raises(RedisUnreachableError, match="Redis at redis://127"):
            await come_to_an_end(task)


async def test_whoever_stops_leaves_the_next_message_to_others_at_once(out: OutputStream) -> None:
    may_end = asyncio.Event()
    first, second = Handler(lambda _: may_end.wait()), Handler()
    out.add("7900", "a")
    out.add("7900", "b")
    async with working(out.server.url, first, retry_after_s=40, concurrency=1) as worker:
        await first.wait_for(1)
        async with working(out.server.url, second, retry_after_s=40):
            await until(lambda: out.read_group()["pending"] == 2)
            worker.stop()
            may_end.set()
            await until(lambda: is_done(out))
    assert (first.lines, second.lines) == (["7900 a 1"], ["7900 b 1"])


async def test_worker_works_with_the_rights_that_are_printed(
    out: OutputStream, tmp_path: Path, connection: Connection
) -> None:
    rights = build_worker_rights(configure(out.server.url, tmp_path).settings, "bot")
    with out.server.client() as client:
        client.execute_command("ACL", "LOG", "RESET")
    url = make_user(out.server, rights, name="worker")

    def fail(message: MergedMessage) -> None:
        if message.text == "dies":
            raise GiveUpError("no")
        if message.attempt == 1:
            raise ValueError("again")

    handler = Handler(fail)
    out.add("7900", "dies")
    out.add("7900", "a")
    async with working(url, handler):
        await handler.wait_for(3)
        await until(lambda: is_done(out))
    assert set(list_denials(out.server)) <= {"client|setinfo"}  # Redis 7.2 and later; nothing depends on it
    with out.server.client() as client:
        client.execute_command("ACL", "DELUSER", "worker")


async def test_worker_without_rights_says_how_to_get_them(out: OutputStream, tmp_path: Path) -> None:
    rights = build_worker_rights(configure(out.server.url, tmp_path).settings, "bot")
    url = make_user(out.server, rights, "-xclaim", name="worker")
    out.add("7900", "a")
    with pytest.raises(CredentialsRefusedError) as refusal:
        await come_to_an_end(AsyncWorker(url, group="bot").run(Handler()))
    assert refusal.value.next.startswith("rfctl export acl --worker bot")
    assert "password" not in str(refusal.value)
    with out.server.client() as client:
        client.execute_command("ACL", "DELUSER", "worker")


def test_plain_function_is_called_in_the_caller_s_thread(out: OutputStream) -> None:
    worker = Worker(out.server.url, group="bot", retry_after_s=0.6)
    calls: list[Any] = []

    def answer(message: MergedMessage) -> None:
        calls.append((message.text, message.attempt, threading.current_thread()))
        if message.attempt == 1:
            raise ValueError("again")
        if message.text == "b":
            worker.stop()

    out.add("7900", "a")
    out.add("7900", "b")
    run_in_this_thread(worker, answer)
    here = threading.main_thread()
    assert calls == [("a", 1, here), ("a", 2, here), ("b", 1, here), ("b", 2, here)]
    assert is_done(out)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_lets_the_message_in_hand_end(out: OutputStream, number: signal.Signals) -> None:
    ended = []
    before = signal.getsignal(number)

    def answer(message: MergedMessage) -> None:
        signal.raise_signal(number)
        ended.append(message.text)

    out.add("7900", "a")
    out.add("7900", "b")
    run_in_this_thread(Worker(out.server.url, group="bot"), answer)
    assert ended == ["a"]
    assert out.read_group()["pending"] == 0 or out.read_group()["lag"] == 0
    assert signal.getsignal(number) is before


def test_second_signal_ends_at_once_and_the_message_comes_again(out: OutputStream) -> None:
    def answer(message: MergedMessage) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    out.add("7900", "a")
    with pytest.raises(KeyboardInterrupt):
        run_in_this_thread(Worker(out.server.url, group="bot", retry_after_s=0.6), answer)
    assert out.read_group()["pending"] == 1
    attempts = []
    worker = Worker(out.server.url, group="bot", retry_after_s=0.6)

    def note(message: MergedMessage) -> None:
        attempts.append(message.attempt)
        worker.stop()

    run_in_this_thread(worker, note)
    assert attempts == [2]


def test_failure_of_a_plain_function_acknowledges_nothing(out: OutputStream) -> None:
    worker = Worker(out.server.url, group="bot")

    def fail(message: MergedMessage) -> None:
        worker.stop()
        raise ValueError("the model is away")

    out.add("7900", "a")
    run_in_this_thread(worker, fail)
    assert out.read_group()["pending"] == 1


def test_failure_of_the_worker_itself_is_raised(server: RedisServer) -> None:
    with server.client() as client:
        client.set("rfctl:shards", "0/9")
    with pytest.raises(OtherLayoutError):
        run_in_this_thread(Worker(server.url, group="bot"), print)


async def test_entry_of_another_program_becomes_a_dead_letter(
    out: OutputStream, connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    with out.server.client() as client:
        client.xadd("rfctl:out", {"phone": "7900", "messages": "no JSON"})
    handler = Handler()
    out.add("7900", "b")
    with caplog.at_level(logging.ERROR):
        async with working(out.server.url, handler, max_attempts=1):
            await handler.wait_for(1)
    assert handler.lines == ["7900 b 1"]
    with out.server.client() as client:
        [[_, fields]] = client.xrange("rfctl:dead")
    assert json.loads(fields["tries"])[0]["error"]
