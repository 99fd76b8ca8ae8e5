"""Somebody empties Redis below a worker, and a daemon begins it anew, perhaps with other streams: the worker goes on there."""

from __future__ import annotations

import asyncio

import pytest

from rfctl.errors import OtherLayoutError
from rfctl.worker import AsyncWorker
from tests.support.servers import RedisServer
from tests.support.waiting import come_to_an_end, until
from tests.support.worker_groups import CallCounter, Handler, OutputStream, working

OTHER = "merged"


def empty(server: RedisServer) -> None:
    with server.client() as client:
        client.flushall()


@pytest.mark.parametrize(("shards", "name"), [(0, "rfctl:out"), (0, OTHER), (2, "rfctl:out"), (2, OTHER)])
async def test_worker_reads_what_a_new_daemon_writes(
    server: RedisServer, caplog: pytest.LogCaptureFixture, shards: int, name: str
) -> None:
    out, handler = OutputStream(server), Handler()
    async with working(server.url, handler):
        out.add("7900", "a")
        await handler.wait_for(1)
        empty(server)
        await until(lambda: "no rfctl serve has begun Redis at redis://" in caplog.text)
        new = OutputStream(server, shards, name)
        new.add("7901", "b", shard=max(0, shards - 1))
        await handler.wait_for(2)
        await until(lambda: new.read_group(stream=new.streams[-1])["pending"] == 0)
    assert handler.lines == ["7900 a 1", "7901 b 1"]
    assert caplog.text.count("no rfctl serve has begun Redis") == 1
    with server.client() as client:
        streams = {key for key in client.keys("*out") if "worker" not in key}
    assert streams <= set(new.streams), "an old stream has come back"


async def test_worker_reads_the_old_stream_to_its_end_and_the_other_one(
    server: RedisServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a DEL of the layout: the old stream and its group stay."""
    monkeypatch.setattr("rfctl.worker.layout._LOOK_AGAIN_S", 0)
    may_end = asyncio.Event()
    out, handler = OutputStream(server), Handler(lambda _: may_end.wait())
    async with working(server.url, handler, concurrency=1):
        out.add("7900", "a")
        await handler.wait_for(1)
        out.add("7900", "b")
        out.add("7901", "b")
        OutputStream(server, name=OTHER).add("7902", "c")
        may_end.set()
        await handler.wait_for(4)
        await until(lambda: "group bot has nothing left in rfctl:out: it reads that no more" in caplog.text)
        out.add("7903", "d")
        OutputStream(server, name=OTHER).add("7903", "e")
        await handler.wait_for(5)
    assert sorted(handler.lines) == ["7900 a 1", "7900 b 1", "7901 b 1", "7902 c 1", "7903 e 1"]
    words = "rfctl serve writes to merged by now: group bot reads that, and what is left in rfctl:out"
    assert caplog.text.count(words) == 1


@pytest.mark.parametrize("begins_anew", [True, False], ids=["begun anew", "empty"])
async def test_message_in_hand_ends_in_words_where_its_stream_is_gone(
    server: RedisServer, caplog: pytest.LogCaptureFixture, *, begins_anew: bool
) -> None:
    may_end, signs = asyncio.Event(), CallCounter()
    out, handler = OutputStream(server), Handler(lambda _: may_end.wait())
    out.add("7900", "a")
    async with working(server.url, handler, signs, concurrency=1):
        await handler.wait_for(1)
        empty(server)
        if begins_anew:
            OutputStream(server, name=OTHER).add("7901", "b")
        await signs.wait_for("renew", 2)
        may_end.set()
        await until(lambda: "message d-7900-a: its stream rfctl:out is gone" in caplog.text)
        if begins_anew:
            await handler.wait_for(2)
    assert handler.lines == ["7900 a 1", "7901 b 1"][: 1 + begins_anew]


async def test_worker_ends_when_a_daemon_of_another_layout_has_begun(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rfctl.worker.layout._LOOK_AGAIN_S", 0)
    OutputStream(server)
    worker = asyncio.create_task(AsyncWorker(server.url, group="bot").run(Handler()))
    with server.client() as client:
        await until(lambda: client.xinfo_groups("rfctl:out") if client.exists("rfctl:out") else False)
        client.set("rfctl:shards", "0/9")
    with pytest.raises(OtherLayoutError, match="has layout '0/9'"):
        await come_to_an_end(worker)
