"""Forgetting a person with the installed command, beside a daemon that delivers."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rfctl.store.connection import Connection
from tests.cli.test_commands import PHONE
from tests.cli.test_sink_commands import Operator, crm, say
from tests.support.contents import find_traces
from tests.support.receivers import tcp_receiver
from tests.support.servers import RedisServer
from tests.support.waiting import until

SECRET = "fountain"


async def test_person_is_forgotten_after_a_yes_and_what_is_on_its_way_is_waited_for(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    has_request, may_answer = asyncio.Event(), asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        has_request.set()
        await may_answer.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()

    async with tcp_receiver(hold) as port:
        operator = Operator(tmp_path, server.url, **crm(f"http://127.0.0.1:{port}/"))
        async with operator.daemon() as daemon:
            await say(daemon, SECRET)
            await has_request.wait()
            left = await operator.run("forget", PHONE, "--stream", "--wait", "0", "--yes")
            assert left.returncode == 1
            assert "may be on its way to crm at this moment; run it again" in left.stdout
            assert await find_traces(connection, SECRET) == {"rfctl:out"}
            shown = await operator.run("forget", PHONE, "--dry-run")
            assert shown.returncode == 0
            assert "1 undelivered message, 1 entry of the output stream" in shown.stdout
            refused = await operator.run("forget", PHONE)
            assert refused.returncode == 2
            assert f"not asked: this would forget {PHONE}: 1 undelivered message" in refused.stderr
            waits = asyncio.create_task(operator.data("forget", PHONE, "--stream", "--wait", "600", "--yes"))
            may_answer.set()
            answer = await waits
            assert (answer["on_its_way"], answer["in_stream"]) == ([], [])
            assert await find_traces(connection, SECRET, PHONE) == set()
            await until(lambda: _is_delivered(connection))
            assert (await operator.run("forget", PHONE, "--yes")).returncode == 3


async def _is_delivered(connection: Connection) -> bool:
    return bool(await connection.call("HGET", "rfctl:totals", "sink:crm:delivered"))


async def test_what_stays_is_named_with_its_end(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    operator = Operator(tmp_path, server.url, **crm("http://127.0.0.1:1/", "600000"))
    await operator.run("pause", "crm")
    async with operator.daemon() as daemon:
        await say(daemon, SECRET)
        await until(lambda: connection.call("XLEN", "rfctl:out"))
        done = await operator.run("forget", PHONE, "--yes")
    assert done.returncode == 0, done.stderr
    assert "stays: 1 entry of the output stream until 20" in done.stdout
    assert "they are still to be delivered to crm" in done.stdout
    assert "hashes of message ids, which name nobody, for 24 h" in done.stdout
    assert await find_traces(connection, SECRET, PHONE) == {"rfctl:out"}
