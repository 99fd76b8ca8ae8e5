"""One HTTP connection: what it holds at most, and that every request gets its own answer however its bytes come."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rfctl.daemon.http_bounds import Limits
from rfctl.daemon.http_protocol import LARGE_READ, SMALL_READ
from tests.support.http_bytes import EchoApp, FakeConnection
from tests.support.waiting import until

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK"
CHUNKED = (
    b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\nT: v\r\n\r\n"
)


def post(body: bytes, path: bytes = b"/b") -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (path, len(body), body)


@contextmanager
def connected(app: EchoApp, limits: Limits | None = None) -> Iterator[FakeConnection]:
    connection = FakeConnection(app, limits)
    try:
        yield connection
    finally:
        connection.end()


async def test_requests_in_any_two_reads_get_their_answers_in_order() -> None:
    stream = GET + post(b"x\r\n\r\ny") + CHUNKED + post(b"", b"/e") + GET
    expected = [
        part
        for body in (b"GET /a ", b"POST /b x\r\n\r\ny", b"POST /c abc", b"POST /e ", b"GET /a ")
        for part in (OK, body)
    ]
    for place in range(1, len(stream)):
        with connected(EchoApp()) as connection:
            await connection.read_all(stream[:place])
            await connection.read_all(stream[place:])
            await connection.settle()
            assert connection.answers == expected, stream[:place]
            assert connection.rejected == []


async def test_connection_has_one_request_in_hand_and_reads_no_further() -> None:
    app = EchoApp(is_open=False)
    with connected(app) as connection:
        flood = GET * 100_000
        taken = connection.read(flood)
        await connection.settle()
        assert (len(app.calls), connection.transport.paused) == (1, True)
        assert taken <= SMALL_READ
        app.gate.set()
        await until(lambda: not connection.protocol._rest)
        assert len(app.calls) * len(GET) <= taken + len(GET)
        assert not connection.transport.paused


async def test_body_behind_a_split_header_does_not_let_requests_in_hand() -> None:
    app = EchoApp(is_open=False)
    with connected(app) as connection:
        first = post(b"\r\n\r\n" + b"z" * 8000)
        place = first.index(b"\r\n\r\n") + 3
        connection.read(first[:place])
        connection.read(first[place:] + GET * 1000)
        await connection.settle()
        assert len(app.calls) == 1
        app.gate.set()
        await until(lambda: len(app.calls) > 200)


@pytest.mark.parametrize("cut", [1, 2, 3])
async def test_header_whose_end_comes_later_takes_no_other_request_in_hand(cut: int) -> None:
    app = EchoApp(is_open=False)
    with connected(app) as connection:
        connection.read(GET[:-cut])
        connection.read(GET[-cut:] + post(b"x"))
        await connection.settle()
        assert app.calls == ["/a"]
        app.gate.set()
        await connection.settle()
        assert connection.answers == [OK, b"GET /a ", OK, b"POST /b x"]


async def test_pipelined_request_with_a_large_body_is_not_read_before_its_turn() -> None:
    app = EchoApp(is_open=False)
    with connected(app) as connection:
        taken = connection.read(GET + post(b"z" * 3_000_000))
        await connection.settle()
        assert (taken <= SMALL_READ, app.calls) == (True, ["/a"])
        app.gate.set()


async def test_body_that_the_app_does_not_ask_for_waits_in_the_socket() -> None:
    async def deaf(_scope: object, _receive: object, _send: object) -> None:
        await asyncio.Event().wait()

    connection = FakeConnection(deaf)
    taken = connection.read(post(b"z" * 3_000_000))
    await connection.settle()
    assert taken <= SMALL_READ + LARGE_READ
    assert connection.transport.paused
    for task in connection.state.tasks:
        task.cancel()
    connection.end()


async def test_nothing_is_read_while_an_answer_is_not_taken() -> None:
    app = EchoApp()
    with connected(app) as connection:
        await connection.read_all(GET)
        connection.protocol.pause_writing()  # it is answered, and the client has not taken it yet
        taken = connection.read(GET * 100_000)
        await connection.settle()
        assert (taken <= SMALL_READ, len(app.calls), connection.transport.paused) == (True, 1, True)
        connection.protocol.resume_writing()
        await until(lambda: len(app.calls) > 300)
        assert connection.answers[:2] == [OK, b"GET /a "]


async def test_client_that_takes_no_answer_is_cut_and_counted() -> None:
    with connected(EchoApp(), Limits(body_s=0.01)) as connection:
        connection.protocol.pause_writing()
        await until(lambda: connection.transport.aborted)
        assert connection.rejected == [("answer-timeout", None)]


async def test_answer_that_goes_on_is_not_cut_once_its_client_takes_it_again() -> None:
    app = EchoApp(is_open=False)
    with connected(app) as connection:
        await connection.read_all(GET)
        deadline = connection.protocol._deadline
        connection.protocol.pause_writing()
        assert (deadline.until is not None, deadline.why) == (True, "answer-timeout")
        connection.protocol.resume_writing()
        assert deadline.until is None, "a stream may be silent for longer than a client between two requests"
        app.gate.set()
        await until(lambda: connection.answers)
        assert deadline.until is not None


ENDLESS = {
    "value": (b"GET / HTTP/1.1\r\nX: ", b"a" * 1000),
    "name": (b"GET / HTTP/1.1\r\n", b"a" * 1000),
    "fields": (b"GET / HTTP/1.1\r\n", b"a: b\r\n" * 10),
    "value behind a length": (b"POST / HTTP/1.1\r\nContent-Length: 2\r\nX: ", b"a" * 1000),
    "fields behind a length": (b"POST / HTTP/1.1\r\nContent-Length: 900000\r\n", b"a: b\r\n" * 10),
    "target": (b"GET /", b"a" * 1000),
    "blank": (b"", b"\r\n" * 500),
    "trailers": (CHUNKED.replace(b"T: v\r\n\r\n", b""), b"a: b\r\n" * 100),
    "trailer": (CHUNKED.replace(b"T: v\r\n\r\n", b"T: "), b"a" * 1000),
    "extension": (CHUNKED.partition(b"2\r\nab")[0] + b"2;", b"a" * 1000),
}


@pytest.mark.parametrize("kind", ENDLESS)
async def test_endless_header_is_rejected_with_431_and_dropped(kind: str) -> None:
    start, more = ENDLESS[kind]
    app = EchoApp()
    with connected(app, Limits(header_bytes=4096)) as connection:
        connection.read(start)
        for _ in range(1000):
            connection.read(more)
        await connection.settle()
        assert connection.rejected == [("header-too-large", 431)]
        assert bytes(connection.transport.sent).startswith(b"HTTP/1.1 431 ")
        assert connection.transport.ended
        assert "/" not in app.calls


async def test_header_of_the_largest_size_is_served_and_one_byte_more_is_not() -> None:
    for size, status in ((4096, b"200"), (4097, b"431")):
        with connected(EchoApp(), Limits(header_bytes=4096)) as connection:
            start = b"GET /a HTTP/1.1\r\nX: "
            connection.read(start + b"y" * (size - len(start) - 4) + b"\r\n\r\n")
            await connection.settle()
            assert connection.answers[0].split()[1] == status


async def test_header_of_a_hundred_fields_is_served_and_another_field_is_too_many() -> None:
    for count, status in ((100, b"200"), (101, b"431")):
        with connected(EchoApp()) as connection:
            connection.read(b"GET /a HTTP/1.1\r\n" + b"a: b\r\n" * count + b"\r\n")
            await connection.settle()
            assert connection.answers[0].split()[1] == status


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_broken_request_is_answered_400_and_counted_once(sent: bytes) -> None:
    with connected(EchoApp()) as connection:
        connection.read(sent)
        await connection.settle()
        assert connection.rejected == [("invalid-http", 400)]
        assert connection.answers[0] == b"HTTP/1.1 400 Bad Request"
        assert not connection.state.tasks, "an app that waits for the body hears that none will come"


async def test_app_that_waits_for_a_body_hears_that_it_breaks_off() -> None:
    with connected(EchoApp()) as connection:
        await connection.read_all(CHUNKED[:-17])
        assert connection.state.tasks
        await connection.read_all(b"zz\r\n" * 9)
        assert connection.rejected == [("invalid-http", 400)]
        assert not connection.state.tasks


async def test_trailers_are_no_headers() -> None:
    app = EchoApp()
    with connected(app) as connection:
        await connection.read_all(CHUNKED + GET)
        assert connection.answers == [OK, b"POST /c abc", OK, b"GET /a "]
        assert [[name for name, _ in headers] for headers in app.headers] == [
            [b"host", b"transfer-encoding"],
            [b"host"],
        ]


async def test_broken_request_behind_a_good_request_leaves_its_answer() -> None:
    with connected(EchoApp()) as connection:
        await connection.read_all(GET + b"nonsense\r\n\r\n")
        assert connection.answers[:2] == [OK, b"GET /a "]
        assert connection.answers[2] == b"HTTP/1.1 400 Bad Request"


async def test_request_that_offers_another_protocol_is_served_as_it_stands() -> None:
    with connected(EchoApp()) as connection:
        upgrade = b"GET /a HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        await connection.read_all(upgrade + GET)
        assert connection.answers == [OK, b"GET /a "] * 2


async def test_body_of_a_request_that_offers_another_protocol_is_read() -> None:
    """Java's client offers HTTP/2 with every request, also with a POST."""
    offer = post(b"a\r\n\r\nbc").replace(b"Host: x", b"Connection: Upgrade\r\nUpgrade: h2c")
    stream = offer + GET + offer
    for place in range(1, len(stream)):
        with connected(EchoApp()) as connection:
            await connection.read_all(stream[:place])
            await connection.read_all(stream[place:])
            assert connection.answers == [
                OK,
                b"POST /b a\r\n\r\nbc",
                OK,
                b"GET /a ",
                OK,
                b"POST /b a\r\n\r\nbc",
            ]
            assert connection.rejected == []


async def test_target_with_a_host_overrides_the_header() -> None:
    app = EchoApp()
    with connected(app) as connection:
        await connection.read_all(b"GET http://evil.example:81/a?b HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (app.calls, app.hosts) == (["/a"], [[b"evil.example:81"]])


async def test_late_header_is_cut_and_counted_and_an_idle_connection_is_only_cut() -> None:
    for sent, rejected in ((b"GET / HTT", [("header-timeout", None)]), (b"", [])):
        with connected(EchoApp(), Limits(header_s=0.01)) as connection:
            connection.read(sent)
            await until(lambda c=connection: c.transport.aborted)  # type: ignore[misc]
            assert connection.rejected == rejected


async def test_connection_beyond_the_limit_is_told_and_counted() -> None:
    connection = FakeConnection(EchoApp(), Limits(connections=0))
    assert connection.rejected == [("connections", 503)]
    assert connection.answers[0] == b"HTTP/1.1 503 Service Unavailable"
    assert connection.transport.closing
    connection.end()


async def test_request_that_is_cancelled_is_answered_503() -> None:
    with connected(EchoApp(is_open=False)) as connection:
        connection.read(GET)
        await connection.settle()
        [task] = connection.state.tasks
        task.cancel()
        await connection.settle()
        assert connection.answers[0] == b"HTTP/1.1 503 Service Unavailable"
        assert b"retry-after: 5" in connection.transport.sent


async def test_app_that_raises_before_an_answer_gives_500() -> None:
    async def broken(_scope: object, _receive: object, _send: object) -> None:
        raise ZeroDivisionError

    connection = FakeConnection(broken)
    connection.read(GET)
    await connection.settle()
    assert connection.answers[0] == b"HTTP/1.1 500 Internal Server Error"
    connection.end()


async def test_client_that_waits_to_be_asked_for_its_body_is_asked_and_then_closed() -> None:
    with connected(EchoApp()) as connection:
        head, _, body = post(b"abc").partition(b"\r\n\r\n")
        await connection.read_all(head + b"\r\nExpect: 100-continue\r\n\r\n")
        assert bytes(connection.transport.sent) == b"HTTP/1.1 100 Continue\r\n\r\n"
        await connection.read_all(body)
        assert b"connection: close" in connection.transport.sent
        assert connection.transport.sent.endswith(b"POST /b abc")
