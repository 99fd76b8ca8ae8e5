"""What the sender of simulated messages says when the daemon does not take one."""

from __future__ import annotations

import asyncio

import pytest

from rfctl.errors import DaemonCannotNowError, DaemonRefusedError, NoDaemonError, RfctlError
from rfctl.simulation.client import Client
from tests.support.receivers import Answer, HttpReceiver, tcp_receiver

BUSY = b'{"success":false,"error":"Redis cannot take this now"}'


async def refused(answer: Answer) -> RfctlError:
    async with HttpReceiver([answer]) as daemon:
        with pytest.raises(RfctlError) as problem:
            await Client(daemon.url).send("79001234567", "x", "1")
    return problem.value


async def test_busy_daemon_is_reported_in_its_own_words_as_temporary() -> None:
    problem = await refused(Answer(503, body=BUSY))
    assert isinstance(problem, DaemonCannotNowError)
    assert problem.exit_status == 75
    assert problem.fact.endswith("answered 503: Redis cannot take this now")
    assert "rfctl stats" in problem.next


async def test_a_daemon_with_other_settings_is_no_bug() -> None:
    problem = await refused(Answer(401, body=b'{"error":"X-Signature does not match"}'))
    assert isinstance(problem, DaemonRefusedError)
    assert problem.exit_status == 78
    assert "answered 401: X-Signature does not match" in problem.fact
    assert "--via redis" in problem.next


@pytest.mark.parametrize("body", [b"", b"Service Unavailable", b"[1]", b"\xff\xfe"])
async def test_foreign_answer_is_reported_as_it_is(body: bytes) -> None:
    problem = await refused(Answer(503, body=body))
    assert problem.fact.rstrip(": ").endswith(f"503: {body.decode(errors='replace')}".rstrip(": "))


async def test_listener_without_http_is_no_daemon() -> None:
    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"-ERR unknown command\r\n")

    async with tcp_receiver(play) as port:
        with pytest.raises(NoDaemonError) as problem:
            await Client(f"http://127.0.0.1:{port}").send("79001234567", "x", "1")
    assert problem.value.exit_status == 69
