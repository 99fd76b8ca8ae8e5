"""The pipe on a real server: it gets there as every other call does, fails as every other call does, and keeps order."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from rfctl.errors import RedisCannotNowError, RedisUnreachableError, RfctlError
from rfctl.ingest.group_commit import Bounds, GroupCommit
from rfctl.model.message import Message
from rfctl.model.stored import Added
from rfctl.store.address import RedisAddress
from rfctl.store.connection import Connection
from rfctl.store.pipe import Pipe
from tests.support.batching import make_rig
from tests.support.certificates import self_signed
from tests.support.least_rights import IS_ASKED_FOR
from tests.support.relays import Relay
from tests.support.servers import RedisServer, ServerMaker, pick_port
from tests.support.waiting import PATIENCE_S, until

PHONE = "79001234567"
PASSWORD = "p w/é"


def message(text: str, phone: str = PHONE) -> Message:
    return Message(phone=phone, text=text, id=text, channel="generic")


async def read_texts(connection: Connection, phone: str = PHONE) -> list[str]:
    """Return the texts of a pending batch, oldest first."""
    batch = await make_rig(connection).batches.peek(phone)
    return [pending.text for pending in batch.messages] if batch else []


@asynccontextmanager
async def connecting(url: str, timeout_ms: int = int(PATIENCE_S * 1000)) -> AsyncIterator[Connection]:
    address = RedisAddress(url, "the test", timeout_ms=timeout_ms, connect_timeout_ms=timeout_ms)
    opened = Connection.open(address)
    try:
        yield opened
    finally:
        await opened.close()


# --- the way there


@pytest.fixture
def user(server: RedisServer) -> Iterator[str]:
    """The part of a URL that names a user with a password."""
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "anna", "on", f">{PASSWORD}", "~*", "&*", "+@all")
        yield "anna:p%20w%2F%C3%A9@"
        client.execute_command("ACL", "DELUSER", "anna")


@pytest.fixture
async def tls(server: RedisServer, tmp_path: Path) -> AsyncIterator[tuple[str, str]]:
    """The server's URL through TLS, and the option that names its CA."""
    certificate, context = self_signed(tmp_path)
    async with Relay(server.port, context) as relay:
        yield relay.url.removesuffix("/0"), f"?ssl_ca_certs={certificate}"


async def _add_and_read(url: str) -> list[str]:
    async with connecting(url) as connection:
        rig = make_rig(connection)
        await rig.add([message("a")])
        pipe = connection._pipes[0]
        assert pipe._line is not None, "the message went another way"
        return await read_texts(connection)


async def test_message_is_added_with_user_and_database_of_the_url(server: RedisServer, user: str) -> None:
    url = f"redis://{user}127.0.0.1:{server.port}/3"
    assert await _add_and_read(url) == ["a"]
    async with connecting(f"redis://127.0.0.1:{server.port}/3") as connection:
        assert await read_texts(connection) == ["a"]


async def test_message_is_added_through_a_unix_socket(server: RedisServer) -> None:
    assert await _add_and_read(f"unix://{server.socket}?db=2") == ["a"]


async def test_message_is_added_through_tls(tls: tuple[str, str]) -> None:
    url, ca = tls
    assert await _add_and_read(f"{url}/1{ca}") == ["a"]


async def _fail_both_ways(url: str) -> tuple[RfctlError, RfctlError]:
    async with connecting(url, timeout_ms=2000) as connection:
        with pytest.raises(RfctlError) as of_the_pool:
            await connection.call("GET", "a")
        with pytest.raises(RfctlError) as of_the_pipe:
            await connection._run("acknowledge", [], [])
    return of_the_pool.value, of_the_pipe.value


def _assert_alike(problems: tuple[RfctlError, RfctlError]) -> None:
    of_the_pool, of_the_pipe = problems
    assert type(of_the_pipe) is type(of_the_pool)
    assert (of_the_pipe.fact, of_the_pipe.next) == (of_the_pool.fact, of_the_pool.next)


@pytest.mark.parametrize(
    "url", ["redis://anna:wrong@{place}/0", "redis://{place}/99", "redis://nobody:x@{place}/0"]
)
async def test_refusal_of_the_server_is_named_as_for_every_other_call(
    server: RedisServer, user: str, url: str
) -> None:
    _assert_alike(await _fail_both_ways(url.format(place=f"127.0.0.1:{server.port}")))


@pytest.mark.skipif(IS_ASKED_FOR, reason="rfctl's connections have a password then")
async def test_password_that_is_missing_is_named_as_for_every_other_call(own_server: ServerMaker) -> None:
    server = own_server()
    with server.client() as client:
        client.execute_command("CONFIG", "SET", "requirepass", "secret")
    _assert_alike(await _fail_both_ways(server.url))


async def test_port_where_nobody_listens_is_named_as_for_every_other_call() -> None:
    _assert_alike(await _fail_both_ways(f"redis://127.0.0.1:{pick_port()}/0"))


async def test_wrong_tls_is_named_as_for_every_other_call(server: RedisServer, tls: tuple[str, str]) -> None:
    url, ca = tls
    _assert_alike(await _fail_both_ways(url))
    _assert_alike(await _fail_both_ways(url.replace("rediss", "redis")))
    _assert_alike(await _fail_both_ways(server.url.replace("redis:", "rediss:") + ca))


# --- what becomes of calls


async def test_server_that_falls_silent_fails_the_call_in_time_and_is_used_again(
    own_server: ServerMaker,
) -> None:
    server = own_server()
    async with connecting(server.url, timeout_ms=300) as connection:
        rig = make_rig(connection)
        await until(lambda: _adds(rig.add([message("a")])))
        server.send_signal(signal.SIGSTOP)
        with pytest.raises(RedisUnreachableError, match="does not answer within 300 ms"):
            await rig.add([message("b")])
        server.send_signal(signal.SIGCONT)
        await until(lambda: _adds(rig.add([message("c")])))
        assert (await read_texts(connection))[-1] == "c"


async def _adds(call: Awaitable[list[Added]]) -> bool:
    """Say whether a call succeeds: on a busy machine any answer may be late."""
    try:
        await call
    except RfctlError:
        return False
    return True


async def test_replica_refuses_and_the_socket_to_it_is_given_up(own_server: ServerMaker) -> None:
    server = own_server()
    async with connecting(server.url) as connection:
        rig = make_rig(connection)
        await rig.add([message("a")])
        pipe = connection._pipes[0]
        line = pipe._line
        with server.client() as client:
            client.execute_command("REPLICAOF", "127.0.0.1", "1")
            problems = await asyncio.gather(
                *(rig.add([message(text)]) for text in ("b", "c", "d")), return_exceptions=True
            )
            assert [type(problem) for problem in problems] == [RedisCannotNowError] * 3
            assert pipe._line is not line
            client.execute_command("REPLICAOF", "NO", "ONE")
        await rig.add([message("e")])
        assert await read_texts(connection) == ["a", "e"]


async def count_sockets(server: RedisServer) -> int:
    with server.client() as client:
        return len(client.client_list()) - 1


async def test_short_calls_take_the_pipe_once_it_is_open_and_need_no_other_socket(
    own_server: ServerMaker,
) -> None:
    server = own_server()
    async with connecting(server.url) as connection:
        await make_rig(connection).batcher.hand_over(0)
        before = await count_sockets(server)
        answers = await connection.calls([("SET", "x", 1), ("GET", "x"), ("TIME",)], short=True)
        assert (answers[:2], len(answers)) == ([b"OK", b"1"], 3)
        assert await count_sockets(server) == before


async def test_short_call_without_an_open_pipe_is_made_all_the_same(own_server: ServerMaker) -> None:
    server = own_server()
    async with connecting(server.url) as connection:
        assert await connection.calls([("SET", "x", 1)], short=True) == [b"OK"]
        assert await count_sockets(server) == 1
        await make_rig(connection).batcher.hand_over(0)
        with server.client() as client:
            client.client_kill_filter(_type="normal", skipme=True)
        await until(lambda: not any(pipe.is_open for pipe in connection._pipes))
        assert await connection.calls([("GET", "x")], short=True) == [b"1"]


async def test_short_call_that_redis_refuses_fails_as_any_other_and_keeps_the_order(
    connection: Connection,
) -> None:
    await make_rig(connection).batcher.hand_over(0)
    await connection.call("SET", "x", 1)
    problems = []
    for short in (True, False):
        with pytest.raises(RfctlError) as raised:
            await connection.calls([("GET", "x"), ("HSET", "x", "a", 1), ("GET", "x")], short=short)
        problems.append((type(raised.value), raised.value.fact))
    assert problems[0] == problems[1]
    assert await connection.calls([("GET", "x"), ("STRLEN", "x")], short=True) == [b"1", 1]


def count_on_their_way(pipe: Pipe) -> int:
    return len(pipe._line._calls) if pipe._line is not None else 0


async def test_due_batch_does_not_wait_behind_messages(connection: Connection) -> None:
    rig = make_rig(connection)
    await rig.add([message("a")])
    await rig.batcher.hand_over(0)
    intake, loops = connection._pipes[0], connection._pipes[1]
    adding = asyncio.create_task(rig.add([message("b")]))
    await until(lambda: count_on_their_way(intake) == 1, pause_s=0)
    assert count_on_their_way(loops) == 0
    await adding
    handing_over = asyncio.create_task(rig.batcher.hand_over(0))
    await until(lambda: count_on_their_way(loops) == 1, pause_s=0)
    assert count_on_their_way(intake) == 0
    await handing_over


async def test_call_that_was_cancelled_takes_no_other_calls_answer(connection: Connection) -> None:
    rig = make_rig(connection)
    await rig.add([message("a")])
    for number in range(20):
        cancelled = asyncio.create_task(rig.add([message(f"cancelled {number}", "79000000000")]))
        await asyncio.sleep(0)
        others = [asyncio.create_task(rig.add([message(f"{number}", f"7900000{number}")])) for _ in range(3)]
        cancelled.cancel()
        results = [result.added for [result] in await asyncio.gather(*others)]
        assert results == [True, False, False]


async def test_scripts_that_are_lost_between_calls_are_loaded_and_the_calls_keep_their_order(
    server: RedisServer, connection: Connection
) -> None:
    rig = make_rig(connection)
    await rig.add([message("first")])

    async def lose_scripts() -> list[Added]:
        with server.client() as client:
            client.script_flush()
        return []

    steps = [rig.add([message("a")]), lose_scripts(), *(rig.add([message(text)]) for text in ("b", "c", "d"))]
    results = await asyncio.gather(*steps)
    assert [result.size for call in results for result in call] == [2, 3, 4, 5]
    assert await read_texts(connection) == ["first", "a", "b", "c", "d"]


def _are_on_their_way(pipe: Pipe, answers: list[list[Added] | Exception], submitted: int) -> bool:
    """Say whether two calls are on their way; or none ever will be, because the server was too quick."""
    return len(answers) == submitted or (pipe._line is not None and len(pipe._line._calls) > 1)


async def test_connections_that_are_killed_lose_double_and_reorder_nothing(
    server: RedisServer, connection: Connection
) -> None:
    """Nobody waits for an answer before the next message: several calls are on their way at each kill."""
    phones, rounds, burst = [f"7900000000{number}" for number in range(8)], 25, 8
    rig = make_rig(connection, max_size=10_000)
    await rig.add([message("warm", "79000000000")])
    pipe = connection._pipes[0]
    dice = random.Random(1)

    async def add(messages: Sequence[Message]) -> list[Added]:
        for _ in range(dice.randrange(4)):  # as a phone that is looked up holds up its call
            await asyncio.sleep(0)
        return await rig.batcher.add(messages)

    group_commit = GroupCommit(add, Bounds(call=4, timeout_s=PATIENCE_S, retry_delay_s=0.001))
    answers: list[list[Added] | Exception] = []
    on_their_way = 0
    with server.client() as client:
        for number in range(rounds * burst):
            for phone in phones:
                group_commit.submit([message(f"{phone}-{number}", phone)], answers.append)
            if number % burst == burst - 1:
                await until(partial(_are_on_their_way, pipe, answers, (number + 1) * len(phones)), pause_s=0)
                on_their_way += len(pipe._line._calls) if pipe._line else 0
                client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    await until(lambda: len(answers) == len(phones) * rounds * burst)
    assert on_their_way > rounds // 2, "most kills hit nothing"
    assert all(isinstance(answer, list) and answer[0].added for answer in answers)
    for phone in phones[1:]:
        assert await read_texts(connection, phone) == [
            f"{phone}-{number}" for number in range(rounds * burst)
        ]
    await group_commit.close()
