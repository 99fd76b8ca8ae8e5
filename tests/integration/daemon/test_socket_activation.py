"""A daemon on a socket that systemd holds: a restart loses no webhook, and the socket is left as it was."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import signal
import socket
from functools import partial
from pathlib import Path

import httpx
import pytest

from rfctl.daemon.listener import PassedSocket
from rfctl.daemon.passed_sockets import PassedSockets
from rfctl.sources.generic.node_form import BATCHED
from tests.conftest import configure, running
from tests.support.processes import RFCTL, Process, environment, rfctl
from tests.support.servers import RedisServer, pick_port
from tests.support.waiting import until


def pass_on(held: socket.socket) -> PassedSockets:
    """The same socket once more, as each start of a service gets it."""
    passed = PassedSocket(fileno=os.dup(held.fileno()))
    passed.setblocking(False)
    passed.unit = "rfctl.socket"
    return PassedSockets(passed)


async def post_each(http: httpx.AsyncClient, bodies: list[dict[str, str]], *, stays: bool) -> list[int]:
    """Return the status of each. On a kept connection that ends before its answer a client asks again, as each does."""
    statuses = []
    for body in bodies:
        try:
            answer = await http.post(BATCHED, json=body)
        except httpx.TransportError:
            if not stays:
                raise
            answer = await http.post(BATCHED, json=body)
        statuses.append(answer.status_code)
    return statuses


async def test_restart_loses_no_webhook(server: RedisServer, tmp_path: Path) -> None:
    """Clients of both kinds go on while one daemon stops and the next starts: all get 200."""
    held = socket.create_server(("127.0.0.1", 0), backlog=2048)
    url = f"http://127.0.0.1:{held.getsockname()[1]}"
    statuses: list[int] = []
    ended = asyncio.Event()

    async def send_all(lane: int, *, stays: bool) -> None:
        numbers = itertools.count()
        while not ended.is_set():
            ids = [f"{lane}-{next(numbers)}" for _ in range(20 if stays else 1)]
            bodies = [{"from": f"7{lane}", "message": "x", "messageId": name} for name in ids]
            async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as http:
                statuses.extend(await post_each(http, bodies, stays=stays))

    def has_grown(target: int) -> bool:
        failed = [lane.exception() for lane in lanes if lane.done()]
        assert not failed
        return len(statuses) > target

    settings = configure(server.url, tmp_path)
    lanes = [asyncio.create_task(send_all(lane, stays=lane % 2 == 0)) for lane in range(6)]
    for _ in range(3):
        async with running(settings, passed=pass_on(held)) as daemon:
            assert (daemon.url, daemon._settings.http.port) == (url, held.getsockname()[1])
            target = len(statuses) + 30
            await until(partial(has_grown, target))
    async with running(settings, passed=pass_on(held)):
        ended.set()
        await asyncio.gather(*lanes)
    held.close()
    assert set(statuses) == {200}


async def test_record_says_whose_the_listener_is(server: RedisServer, tmp_path: Path) -> None:
    held = socket.create_server(("127.0.0.1", 0))
    async with running(configure(server.url, tmp_path), passed=pass_on(held)) as daemon:
        [record] = await until(daemon._store.daemons.list_alive)
        assert record.describe_listener() == f"{daemon.url} (rfctl.socket of systemd)"
        shown = await asyncio.to_thread(rfctl, tmp_path, "config", "show", RFCTL_REDIS__URL=server.url)
        assert f"listens on {daemon.url} (rfctl.socket of systemd): it does not use http.host" in shown.stderr
    held.close()


needs_program = pytest.mark.skipif(
    shutil.which("systemd-socket-activate") is None, reason="needs systemd-socket-activate (Debian's systemd)"
)


@needs_program
@pytest.mark.parametrize("kind", ["port", pytest.param("path", marks=pytest.mark.long)])
def test_installed_command_takes_its_socket_and_the_first_request_waits_for_it(
    server: RedisServer, tmp_path: Path, kind: str
) -> None:
    port, path = pick_port(), tmp_path / "s.sock"
    address = f"127.0.0.1:{port}" if kind == "port" else str(path)
    variables = environment(tmp_path, RFCTL_REDIS__URL=server.url, RFCTL_SOURCES__GENERIC__INSECURE="true")
    passed_on = [f"--setenv={name}={value}" for name, value in variables.items()]
    command = ["systemd-socket-activate", "-l", address, "--fdname=rfctl.socket", *passed_on, RFCTL, "serve"]
    with Process(command, variables) as daemon:
        daemon.stderr.wait_for(lambda line: "Listening on" in line)
        transport = httpx.HTTPTransport(uds=str(path) if kind == "path" else None)
        with httpx.Client(
            transport=transport, base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False
        ) as http:
            assert http.post(BATCHED, json={"from": "7", "message": "x"}).status_code == 200
        assert '"socket_unit": "rfctl.socket"' in daemon.stderr.wait_for(
            lambda line: '"daemon_started"' in line
        )
        assert daemon.end(signal.SIGTERM) == 0
    assert kind == "port" or path.exists(), "the file is systemd's"
