"""The HTTP server as a whole: how many connections it takes, and that its stop answers what is in hand."""

from __future__ import annotations

import asyncio
import resource
from typing import Any

import pytest

from rfctl.daemon.http_bounds import Limits
from rfctl.daemon.http_protocol import SMALL_READ
from rfctl.daemon.http_server import HttpServer, _clamp_connections
from rfctl.daemon.listener import bind_socket
from tests.support.http_bytes import EchoApp
from tests.support.waiting import until

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("open_files", "connections"),
    [(1024, 896), (100, 16), (100_000, 2000), (resource.RLIM_INFINITY, 2000)],
)
def test_open_files_are_left_for_redis_and_the_sinks(
    monkeypatch: pytest.MonkeyPatch, open_files: int, connections: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (open_files, open_files))
    assert _clamp_connections(Limits(connections=2000)).connections == connections


async def start(app: Any, limits: Limits | None = None) -> tuple[HttpServer, int]:
    listening = bind_socket("127.0.0.1", 0)
    port = listening.getsockname()[1]
    server = HttpServer(app, listening, limits or Limits(), lambda *_, **__: None)
    await server.start()
    return server, port


@pytest.mark.parametrize("library", ["asyncio", "uvloop"])
def test_flood_waits_in_the_socket_on_each_event_loop(library: str) -> None:
    loops = pytest.importorskip(library, reason=f"this platform has no {library}")
    with asyncio.Runner(loop_factory=loops.new_event_loop) as runner:
        runner.run(flood())


async def flood() -> None:
    app = EchoApp(is_open=False)
    server, port = await start(app)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(GET * 100_000)
    await until(lambda: app.calls)
    [connection] = server._state.connections
    await until(lambda: connection.flow.read_paused)  # type: ignore[union-attr]
    assert app.calls == ["/a"], "a connection has one request in hand"
    assert len(connection._rest) <= SMALL_READ  # type: ignore[union-attr]
    app.gate.set()
    answer = b"HTTP/1.1 200 OK\r\n"
    for _ in range(1000):
        assert (await reader.readuntil(b"GET /a ")).startswith(answer)
    writer.transport.abort()
    await server.stop()


async def test_stop_lets_a_request_in_hand_be_answered_and_takes_no_other() -> None:
    app = EchoApp(is_open=False)
    server, port = await start(app)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    idle, idle_writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(GET)
    await until(lambda: app.calls)
    stopping = asyncio.create_task(server.stop())
    assert await idle.read() == b"", "a connection without a request is closed at once"
    with pytest.raises(OSError, match="Connect"):
        await asyncio.open_connection("127.0.0.1", port)
    app.gate.set()
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"connection: close" in answer
    await stopping
    for each in (writer, idle_writer):
        each.close()


async def test_stop_answers_503_what_does_not_end_and_closes_clients_that_take_nothing() -> None:
    async def never(_scope: object, _receive: object, _send: object) -> None:
        await asyncio.Event().wait()

    server, port = await start(never)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(GET)
    await until(lambda: server._state.tasks)
    await server.stop()
    assert (await reader.read()).startswith(b"HTTP/1.1 503 Service Unavailable")
    assert not server._state.connections or all(
        connection.transport.is_closing() for connection in server._state.connections
    )
    writer.close()


async def test_stop_answers_whoever_is_connected_and_has_not_sent_yet() -> None:
    """A new connection and one that stays open: the request on its way is answered, as the last."""
    app = EchoApp()
    server, port = await start(app)
    clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
    reader, writer = clients[0]
    writer.write(GET)
    await reader.readuntil(b"GET /a ")
    await until(lambda: len(server._state.connections) == 2)
    stopping = asyncio.create_task(server.stop())
    await until(lambda: not server._protocol.stays)
    for _, writer in clients:
        writer.write(GET)
    for reader, writer in clients:
        rest = await reader.read()
        assert b"HTTP/1.1 200 OK" in rest
        assert b"connection: close" in rest.lower()
        writer.close()
    await stopping
