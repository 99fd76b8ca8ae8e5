"""A Redis that crashed in the middle of a script: what its second start makes of a torn file, and the rewrite before it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from rfctl.model.message import Message
from rfctl.store import Keyspace, Store
from rfctl.store.connection import Connection
from rfctl.store.rights import build_rights
from tests.support.batching import make_rig
from tests.support.keys import COMMON
from tests.support.servers import RedisServer, patient_address
from tests.support.users import make_user
from tests.support.waiting import until

pytestmark = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="needs redis-server (Debian's redis-server)"
)


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer("redis-server")
    try:
        yield server.start()
    finally:
        server.stop()


def connect(server: RedisServer, url: str = "") -> Connection:
    return Connection.open(patient_address(url or server.url))


async def add(server: RedisServer, *names: str) -> None:
    connection = connect(server)
    messages = [Message(phone="7", text=name, id=name, channel="generic") for name in names]
    await make_rig(connection, quiet_ms=600_000, max_wait_ms=600_000, max_size=100).add(messages)
    await connection.close()


async def read_texts(server: RedisServer) -> list[str]:
    connection = connect(server)
    batch = await make_rig(connection).batches.peek("7")
    await connection.close()
    return [] if batch is None else [message.text for message in batch.messages]


def tear(server: RedisServer) -> None:
    """End the server as a crash does, and cut its file in the middle of what the last script wrote."""
    server.kill()
    [file] = (server.folder / "appendonlydir").glob("*.incr.aof")
    text = file.read_bytes()
    file.write_bytes(text[: text.rindex(b"EXEC") - len(b"*1\r\n$4\r\n") - 30])


async def restart_twice(server: RedisServer, *, is_watched: bool) -> list[str]:
    """Write, tear, start, write, end, start. Returns the texts that are there at the end."""
    await note(server, is_watched=is_watched)
    await add(server, "a")
    await add(server, "torn-1", "torn-2", "torn-3")
    tear(server)
    server.start()
    assert await read_texts(server) == ["a"], "the first start is right"
    await note(server, is_watched=is_watched)
    await add(server, "b")
    await add(server, "c")
    server.kill()
    server.start()
    return await read_texts(server)


async def note(server: RedisServer, *, is_watched: bool) -> None:
    """Notice a restart as a daemon does, and wait until the file is rewritten."""
    if not is_watched:
        return
    connection = connect(server)
    store = Store(connection, Keyspace())
    restart = await store.notice_restart(await store.server_info())
    if restart is not None:
        assert restart.is_rewritten

        async def is_done() -> bool:
            with server.client() as client:
                info = client.info("persistence")
            return not (info["aof_rewrite_in_progress"] or info["aof_rewrite_scheduled"])

        await until(is_done)
    await connection.close()


async def test_second_start_after_a_torn_script_is_right_once_the_file_was_rewritten(
    redis_server: RedisServer,
) -> None:
    assert await restart_twice(redis_server, is_watched=True) == ["a", "b", "c"]


async def test_second_start_after_a_torn_script_is_wrong_without_it(redis_server: RedisServer) -> None:
    """Else the rewrite is for nothing, and may go."""
    assert await restart_twice(redis_server, is_watched=False) != ["a", "b", "c"]


async def test_restart_is_noticed_once_and_by_another_daemon_too(redis_server: RedisServer) -> None:
    connection = connect(redis_server)
    store = Store(connection, Keyspace())
    assert await store.notice_restart(await store.server_info()) is None, "the first start of all"
    redis_server.kill()
    redis_server.start()
    other = Store(connect(redis_server), Keyspace())
    restart = await other.notice_restart(await other.server_info())
    assert restart is not None
    assert restart.is_rewritten
    assert await store.notice_restart(await store.server_info()) is None
    await connection.close()
    await other.close()


async def test_rewrite_that_is_denied_is_a_finding_until_somebody_rewrites(
    redis_server: RedisServer,
) -> None:
    with redis_server.client() as client:
        client.set(COMMON.server_run, "the run before")
    connection = connect(redis_server, make_user(redis_server, build_rights(Keyspace(), 0), "-bgrewriteaof"))
    store = Store(connection, Keyspace())
    server = await store.server_info()
    for _ in range(2):
        restart = await store.notice_restart(server)
        assert restart is not None
        assert not restart.is_rewritten
        assert "bgrewriteaof" in restart.problem
    assert await store.read_server_run() == "the run before"
    await connection.close()
