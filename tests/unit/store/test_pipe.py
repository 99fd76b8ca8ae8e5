"""The pipe on a scripted server: which answer a call gets, and what becomes of calls that get none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from redis import exceptions as rx
from redis.asyncio import Connection

from rfctl.store.pipe import Pipe
from rfctl.store.pool import ANONYMOUS
from tests.support.scripted_redis import Respond, ScriptedRedis, bulk
from tests.support.waiting import PATIENCE_S, until


async def echo(command: list[bytes], writer: asyncio.StreamWriter) -> None:
    writer.write(bulk(command[1]))


async def keep_silent(_command: list[bytes], _writer: asyncio.StreamWriter) -> None:
    """Answer nothing."""


@asynccontextmanager
async def piping(
    respond: Respond, timeout_s: float = PATIENCE_S
) -> AsyncIterator[tuple[Pipe, ScriptedRedis]]:
    async with ScriptedRedis(respond) as server:
        pipe = Pipe(lambda: Connection(port=server.port, protocol=2, **ANONYMOUS), timeout_s)
        try:
            yield pipe, server
        finally:
            await pipe.close()


async def fail(*calls: Awaitable[object]) -> list[type[BaseException]]:
    """Return the types of what the calls raise."""
    return [type(problem) for problem in await asyncio.gather(*calls, return_exceptions=True)]  # type: ignore[misc]


async def test_each_call_gets_its_own_answer_and_none_waits_for_another() -> None:
    async with piping(keep_silent) as (pipe, server):
        calls = [pipe.execute("GET", str(number)) for number in range(3)]
        await until(lambda: len(server.commands) == 3)
        server.writers[0].write(bulk(b"a") + bulk(b"b"))
        assert [await calls[0], await calls[1]] == [b"a", b"b"]
        assert not calls[2].done()
        server.writers[0].write(bulk(b"c"))
        assert await calls[2] == b"c"
        assert len(server.writers) == 1


class NotingTransport:
    """Counts the writes of a transport."""

    def __init__(self, transport: asyncio.Transport | asyncio.WriteTransport) -> None:
        self._transport = transport
        self.writes = 0

    def write(self, data: bytes) -> None:
        self.writes += 1
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


async def test_calls_of_one_turn_leave_together() -> None:
    async with piping(echo) as (pipe, _):
        await pipe.execute("GET", "first")
        line = pipe._line
        assert line is not None
        noting: Any = NotingTransport(line._transport)
        line._transport = noting
        assert await asyncio.gather(*(pipe.execute("GET", str(number)) for number in range(50))) == [
            str(number).encode() for number in range(50)
        ]
        assert noting.writes == 2, "the first at once, since none was on its way"


async def test_every_kind_of_argument_and_answer_comes_over() -> None:
    answers = [b":7\r\n", b"$-1\r\n", b"*-1\r\n", b"*2\r\n:1\r\n*1\r\n$2\r\n\0\xff\r\n", b"+OK\r\n"]

    async def answer(_command: list[bytes], writer: asyncio.StreamWriter) -> None:
        writer.write(answers[len(server.commands) - 1])

    async with piping(answer) as (pipe, server):
        calls = [pipe.execute("SET", "ключ", b"\0\xff\r\n", -(2**63), 1.5) for _ in answers]
        assert await asyncio.gather(*calls) == [7, None, None, [1, [b"\0\xff"]], b"OK"]
    assert server.commands[0] == [
        b"SET", "ключ".encode(), b"\0\xff\r\n", b"-9223372036854775808", b"1.5",
    ]  # fmt: skip


async def test_answer_in_many_pieces_is_one_answer() -> None:
    large = b"x" * 1_000_000
    wire = b"*2\r\n" + bulk(large) + bulk(b"end")

    async def answer_in_pieces(_command: list[bytes], writer: asyncio.StreamWriter) -> None:
        edges = [0, 1, 3, 5, 9, 12, 300_000, len(wire) - 9, len(wire) - 1, len(wire)]
        for start, end in pairwise(edges):
            writer.write(wire[start:end])
            await writer.drain()
            await asyncio.sleep(0.002)

    async with piping(answer_in_pieces) as (pipe, _):
        calls = [pipe.execute("GET", "a"), pipe.execute("GET", "b")]
        for call in calls:
            assert await call == [large, b"end"]


async def test_error_is_that_calls_alone_and_has_the_type_that_redis_py_gives_it() -> None:
    async def answer(command: list[bytes], writer: asyncio.StreamWriter) -> None:
        writer.write(command[1] + b"\r\n")

    async with piping(answer) as (pipe, server):
        texts = ["-NOSCRIPT No matching script", "+OK", "-READONLY no", "-ERR x", "-LOADING wait", "+OK"]
        results = await asyncio.gather(*(pipe.execute("GET", text) for text in texts), return_exceptions=True)
        types = [rx.NoScriptError, bytes, rx.ReadOnlyError, rx.ResponseError, rx.BusyLoadingError, bytes]
        assert [type(result) for result in results] == types
        assert len(server.writers) == 1


async def test_cut_fails_the_calls_without_an_answer_and_the_next_one_opens_another_socket() -> None:
    async def answer_one(command: list[bytes], writer: asyncio.StreamWriter) -> None:
        if len(server.commands) == 1:
            await echo(command, writer)
        elif len(server.commands) == 3:
            writer.transport.close()

    async with piping(answer_one) as (pipe, server):
        first, *others = [pipe.execute("GET", str(number)) for number in range(4)]
        assert await first == b"0"
        assert await fail(*others) == [rx.ConnectionError] * 3
        server.respond = echo
        assert await pipe.execute("GET", "again") == b"again"
        assert len(server.writers) == 2


async def test_socket_that_was_cut_while_nobody_called_fails_no_call() -> None:
    async with piping(echo) as (pipe, server):
        await pipe.execute("GET", "a")
        server.writers[0].close()
        await until(lambda: pipe._line is not None and not pipe._line.is_open)
        assert await pipe.execute("GET", "b") == b"b"


async def test_silent_server_fails_every_call_and_its_socket_is_closed() -> None:
    async with piping(keep_silent, timeout_s=0.05) as (pipe, server):
        calls = [pipe.execute("GET", "a"), pipe.execute("GET", "b")]
        assert await fail(*calls) == [rx.TimeoutError] * 2
        await until(lambda: server.closed == 1)
        server.respond = echo
        assert await pipe.execute("GET", "c") == b"c"


async def test_server_that_falls_silent_later_is_noticed_too() -> None:
    async with piping(echo, timeout_s=0.1) as (pipe, server):
        for _ in range(5):  # the timer of the first call goes on for the later ones
            assert await pipe.execute("GET", "a") == b"a"
            await asyncio.sleep(0.04)
        server.respond = keep_silent
        assert await fail(pipe.execute("GET", "a")) == [rx.TimeoutError]


async def test_call_whose_caller_is_gone_keeps_its_place() -> None:
    async with piping(keep_silent) as (pipe, server):
        first, second = pipe.execute("GET", "a"), pipe.execute("GET", "b")
        await until(lambda: len(server.commands) == 2)
        first.cancel()
        server.writers[0].write(bulk(b"a") + bulk(b"b"))
        assert await second == b"b"


async def test_call_whose_caller_is_gone_before_the_socket_is_open_is_not_sent() -> None:
    async with piping(echo) as (pipe, server):
        pipe.execute("GET", "a").cancel()
        assert await pipe.execute("GET", "b") == b"b"
        assert server.commands == [[b"GET", b"b"]]


@pytest.mark.parametrize(
    "garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+OK\r\n+OK\r\n"], ids=["http", "two"]
)
async def test_what_no_redis_says_ends_the_socket(garbage: bytes) -> None:
    async def answer(_command: list[bytes], writer: asyncio.StreamWriter) -> None:
        writer.write(garbage)

    async with piping(answer) as (pipe, server):
        await asyncio.gather(pipe.execute("GET", "a"), return_exceptions=True)
        await until(lambda: server.closed == 1)
        server.respond = echo
        assert await pipe.execute("GET", "b") == b"b"


async def test_calls_that_wait_for_a_socket_share_one_attempt() -> None:
    class Refusing(Connection):
        attempts = 0

        async def connect(self) -> None:
            Refusing.attempts += 1
            await asyncio.sleep(0)
            raise rx.ConnectionError("refused")

    pipe = Pipe(lambda: Refusing(protocol=2, **ANONYMOUS), PATIENCE_S)
    assert await fail(*(pipe.execute("GET", "a") for _ in range(20))) == [rx.ConnectionError] * 20
    assert Refusing.attempts == 1
    assert await fail(pipe.execute("GET", "a")) == [rx.ConnectionError]
    assert Refusing.attempts == 2
    await pipe.close()


async def test_bug_while_the_socket_is_opened_leaves_no_call_without_an_answer() -> None:
    def crash() -> Connection:
        raise ZeroDivisionError

    pipe = Pipe(crash, PATIENCE_S)
    assert await fail(pipe.execute("GET", "a")) == [ZeroDivisionError]
    await pipe.close()


async def test_server_that_has_too_many_clients_says_so_to_every_call() -> None:
    async def refuse(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"-ERR max number of clients reached\r\n")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    pipe = Pipe(lambda: Connection(port=port, protocol=2, **ANONYMOUS), PATIENCE_S)
    with pytest.raises(rx.ConnectionError, match="max number of clients reached"):
        await pipe.execute("GET", "a")
    await pipe.close()
    server.close()


async def test_after_a_hang_up_calls_go_over_another_socket_and_older_ones_still_get_their_answers() -> None:
    async with piping(keep_silent) as (pipe, server):
        first, second = pipe.execute("GET", "a"), pipe.execute("GET", "b")
        await until(lambda: len(server.commands) == 2)
        pipe.hang_up()
        server.respond = echo
        assert await pipe.execute("GET", "c") == b"c"
        assert len(server.writers) == 2
        server.writers[0].write(bulk(b"a"))
        assert await first == b"a"
        assert server.closed == 0
        server.writers[0].write(bulk(b"b"))
        assert await second == b"b"
        await until(lambda: server.closed == 1)


async def _call_on_a_new_socket(pipe: Pipe, _server: ScriptedRedis) -> asyncio.Future[object]:
    return pipe.execute("GET", "a")


async def _call_on_an_open_socket(pipe: Pipe, server: ScriptedRedis) -> asyncio.Future[object]:
    call = pipe.execute("GET", "a")
    await until(lambda: server.commands)
    return call


async def _call_before_a_hang_up(pipe: Pipe, server: ScriptedRedis) -> asyncio.Future[object]:
    call = await _call_on_an_open_socket(pipe, server)
    pipe.hang_up()
    return call


@pytest.mark.parametrize("begin", [_call_on_a_new_socket, _call_on_an_open_socket, _call_before_a_hang_up])
async def test_close_answers_every_call_and_closes_every_socket(
    begin: Callable[[Pipe, ScriptedRedis], Awaitable[asyncio.Future[object]]],
) -> None:
    async with piping(keep_silent) as (pipe, server):
        call = await begin(pipe, server)
        await pipe.close()
        assert await fail(call) == [rx.ConnectionError]
        await until(lambda: server.closed == len(server.writers))
