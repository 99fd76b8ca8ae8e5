"""The hot path: a plain message needs no app, no task, no timer and one write, however its bytes come."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.two_ways import Way, build_sources
from tests.support.waiting import until


def post(body: bytes, *fields: bytes, path: bytes = b"/webhook/words") -> bytes:
    head = [b"POST %b HTTP/1.1" % path, b"Host: localhost", b"X-Token: good", *fields]
    return b"\r\n".join([*head, b"Content-Length: %d" % len(body), b"", body])


def build_way() -> Way:
    """Return a connection whose app must not be called."""

    async def fail(scope: Any, _receive: Any, _send: Any) -> None:
        raise AssertionError(f"the app was asked for {scope['path']}")

    way = Way(is_hot=True)
    way.connection.protocol.app = fail
    return way


OK = b"HTTP/1.1 200 OK"
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable"


async def test_message_takes_one_write_and_no_task_of_its_own() -> None:
    way = build_way()
    for number in range(1, 4):
        await way.read(post(b"hello"))
        assert (way.connection.transport.writes, way.connection.state.tasks) == (number, set())
    assert way.connection.answers == [OK, b""] * 3
    assert way.store.done == ["7 hello"] * 3
    assert way.receiver.budget.used_bytes == 0


async def test_messages_of_a_connection_share_their_timers(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, timers = asyncio.get_running_loop(), []
    call_at = loop.call_at

    def call_and_count(*arguments: Any, **options: Any) -> asyncio.TimerHandle:
        timers.append(arguments)
        return call_at(*arguments, **options)

    monkeypatch.setattr(loop, "call_at", call_and_count)
    way = build_way()
    for _ in range(50):
        await way.read(post(b"hello"))
    assert len(way.store.done) == 50
    assert len(timers) <= 3


async def test_message_in_any_two_reads_is_answered_without_the_app() -> None:
    stream = (
        post(b"hello") + post(b"", path=b"/webhook/open") + post(b"\r\n\r\nhello", path=b"/webhook/spoken?a")
    )
    for place in range(len(stream)):
        way = build_way()
        await way.read(stream[:place])
        await way.read(stream[place:])
        assert way.connection.answers[::2] == [OK] * 3
        assert way.store.done == ["7 hello"] * 2


async def test_body_in_single_bytes_is_put_together() -> None:
    way = build_way()
    for byte in post(b"one two"):
        way.connection.read(bytes([byte]))
    await way.settle()
    assert (way.connection.answers, way.store.done) == ([OK, b""], ["7 one", "7 two"])


async def test_request_behind_a_message_waits_for_its_turn() -> None:
    way = Way(is_hot=True)
    rest = await way.read(post(b"slow") + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + post(b"hello"))
    assert (rest, way.connection.answers) == (b"", [])
    assert way.connection.transport.paused
    way.store.gate.set()
    await way.settle()
    assert way.connection.answers == [OK, b"", OK, b'{"status":"ok"}', OK, b""]
    assert way.store.done == ["7 slow", "7 hello"]
    assert not way.connection.transport.paused


async def test_body_without_room_or_too_large_is_the_apps() -> None:
    for name in ("max_inflight_bytes", "max_body_bytes"):
        bounds: dict[str, Any] = {name: 10}
        way = Way(is_hot=True, **bounds)
        way.connection.read(post(b"hello hello"))
        assert len(way.connection.state.tasks) == 1
        await way.settle()


async def test_answer_is_the_last_of_its_connection_once_the_server_stops() -> None:
    """Also of a head that is known: its connection would stay."""
    way = build_way()
    await way.read(post(b"hello"))
    way.connection.protocol.stays = False
    await way.read(post(b"hello"))
    assert way.connection.answers == [OK, b""] * 2
    assert b"connection: close" in bytes(way.connection.transport.sent).lower()
    assert way.connection.transport.is_closing()


async def test_client_that_waits_to_be_asked_for_its_body_is_asked() -> None:
    way = Way(is_hot=True)
    head, _, body = post(b"hello", b"Expect: 100-continue").partition(b"\r\n\r\n")
    way.connection.read(head + b"\r\n\r\n")
    await until(lambda: b"100 Continue" in way.connection.transport.sent)
    await way.read(body)
    await until(lambda: OK in way.connection.transport.sent)
    assert way.store.done == ["7 hello"]


async def test_client_that_leaves_before_its_answer_lost_no_message() -> None:
    way = build_way()
    await way.read(post(b"slow"))
    way.connection.end()
    way.store.gate.set()
    await way.settle()
    assert (way.store.done, way.connection.answers) == (["7 slow"], [])
    assert way.receiver.budget.used_bytes == 0


@pytest.mark.parametrize(("word", "expected"), [("slow", OK), ("slow away", UNAVAILABLE)])
async def test_stop_lets_a_message_in_hand_be_answered_as_the_last(word: str, expected: bytes) -> None:
    way = build_way()
    await way.read(post(word.encode()) + post(b"later"))
    way.connection.protocol.shutdown()
    [waiting] = way.connection.state.tasks
    way.store.gate.set()
    await asyncio.sleep(0)
    await way.receiver.group_commit.close() if "away" in word else await way.settle()
    assert (way.connection.answers[0], len(way.connection.answers)) == (expected, 2)
    assert b"connection: close" in way.connection.transport.sent
    assert way.connection.transport.closing
    await asyncio.wait([waiting])
    assert way.connection.state.tasks == set()


@pytest.mark.parametrize("sent", [post(b"slow"), post(b"slow odd"), post(b"hello")[:-1]])
async def test_stop_whose_time_is_over_answers_503_and_lets_the_room_go(sent: bytes) -> None:
    way = build_way()
    await way.read(sent)
    way.connection.protocol.shutdown()
    for task in list(way.connection.state.tasks):
        task.cancel()
    await asyncio.wait(way.connection.state.tasks)
    assert way.connection.answers[0] == UNAVAILABLE
    assert b"the daemon stops" in way.connection.answers[1]
    way.store.gate.set()
    await way.settle()
    assert len(way.connection.answers) == 2
    assert way.receiver.budget.used_bytes == 0


async def test_reload_leaves_a_message_with_the_source_that_took_it_in() -> None:
    way = Way(is_hot=True)
    message = post(b"hello")
    await way.read(message[:-2])
    sources = build_sources()
    del sources["words"]
    way.receiver.reconfigure(sources, "")
    await way.read(message[-2:] + message)
    assert [line.split()[1] for line in way.connection.answers[::2]] == [b"200", b"404"]
    assert way.store.done == ["7 hello"]


@pytest.mark.parametrize("is_hot", [True, False])
async def test_nothing_behind_the_last_answer_is_parsed_or_counted(is_hot: bool) -> None:
    way = Way(is_hot=is_hot)
    head = b"POST /webhook/words HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"
    await way.read(head + b"nonsense\r\n\r\n")
    assert [line for line in way.connection.answers if line.startswith(b"HTTP/1.1")] == [
        b"HTTP/1.1 401 Unauthorized"
    ]
    assert way.store.counts == {"rejected:signature:words": 1}
