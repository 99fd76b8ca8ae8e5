"""A Redis without memory: what is handled is acknowledged and remembered all the same, and nothing is handled twice."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from rfctl.store.connection import Connection
from rfctl.worker import GiveUpError, MergedMessage
from rfctl.worker.scripts import read_script
from tests.support.servers import RedisServer
from tests.support.waiting import until
from tests.support.worker_groups import Handler, OutputStream, full_memory, working


@pytest.mark.parametrize("is_plain", [False, True], ids=["with flags", "as Redis 6.2 runs it"])
async def test_what_is_handled_while_memory_is_full_is_acknowledged_and_remembered(
    server: RedisServer, connection: Connection, monkeypatch: pytest.MonkeyPatch, is_plain: bool
) -> None:
    if is_plain:
        monkeypatch.setattr(
            "rfctl.worker.redis_group.read_script", lambda verb: read_script(verb).without_shebang()
        )
    out, may_go_on = OutputStream(server), asyncio.Event()

    async def act(message: MergedMessage) -> None:
        await may_go_on.wait()
        if message.text == "dies":
            raise GiveUpError("no")
        if message.text == "fails" and message.attempt == 1:
            raise ValueError("again")

    handler = Handler(act)
    for phone, text in (("1", "a"), ("1", "b"), ("2", "dies"), ("3", "fails")):
        out.add(phone, text)
    async with working(server.url, handler, concurrency=3):
        await handler.wait_for(3)
        with full_memory(server):
            may_go_on.set()
            await until(lambda: out.read_group()["pending"] == 0)
            assert await connection.call("XLEN", "rfctl:dead") == 1
        handled = ["1 a 1", "1 b 1", "2 dies 1", "3 fails 1", "3 fails 2"]
        assert sorted(handler.lines) == handled
        out.add("1", "a")  # the same id again
        out.add("4", "after")
        await handler.wait_for(6)
        await until(lambda: out.read_group()["pending"] == 0)
    assert sorted(handler.lines) == [*handled, "4 after 1"]


async def test_worker_that_starts_while_memory_is_full_waits_in_words(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    out, handler = OutputStream(server), Handler()
    out.add("1", "a")
    with contextlib.ExitStack() as memory:
        memory.enter_context(full_memory(server))
        async with working(server.url, handler):
            await until(lambda: "command not allowed when used memory" in caplog.text)
            memory.close()
            await handler.wait_for(1)
    assert handler.lines == ["1 a 1"]
    assert "; waiting" in caplog.text
    assert "is back" in caplog.text
