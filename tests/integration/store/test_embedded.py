"""The embedded server: where it is found, and how its end is noticed."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rfctl.errors import EmbeddedServerError, SettingsError
from rfctl.store import embedded as module
from rfctl.store.connection import Connection
from rfctl.store.embedded import EmbeddedServer, ask, find_embedded
from rfctl.store.embedded_folder import EmbeddedFolder
from tests.support.servers import patient_address, pick_port
from tests.support.waiting import PATIENCE_S, until


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer(tmp_path, pick_port())
    yield server
    server.stop()


async def test_end_of_the_server_is_noticed_at_once(embedded: EmbeddedServer) -> None:
    address = await embedded.start()
    waiting = asyncio.create_task(embedded.wait_until_ended())
    await asyncio.sleep(0)
    assert not waiting.done(), "it runs"
    os.kill(address.pid, signal.SIGKILL)
    async with asyncio.timeout(PATIENCE_S):
        await waiting


async def test_waiting_for_the_end_can_be_given_up(embedded: EmbeddedServer) -> None:
    await embedded.start()
    for _ in range(2):
        waiting = asyncio.create_task(embedded.wait_until_ended())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_server_that_is_not_started_has_ended(embedded: EmbeddedServer) -> None:
    await embedded.wait_until_ended()


async def test_running_server_is_located_and_a_stopped_one_is_not(
    embedded: EmbeddedServer, tmp_path: Path
) -> None:
    address = await embedded.start()
    assert find_embedded(tmp_path) == address
    embedded.stop()
    with pytest.raises(EmbeddedServerError):
        find_embedded(tmp_path)


async def test_both_sockets_want_the_password(embedded: EmbeddedServer) -> None:
    address = await embedded.start()
    for user, url in (("", address.url), ("default", address.tcp_url)):
        assert await _ping(url) == b"PONG"
        with pytest.raises(Exception, match="refused us"):
            await _ping(url.replace(f"{user}:{address.password}@", ""))
    assert ask(address.socket_path, "wrong") == "silent"
    assert len(address.password) >= 40


async def _ping(url: str) -> Any:
    connection = Connection.open(patient_address(url))
    try:
        return await connection.call("PING")
    finally:
        await connection.close()


async def test_no_process_shows_the_password(embedded: EmbeddedServer) -> None:
    address = await embedded.start()
    shown = (
        Path(f"/proc/{address.pid}/cmdline").read_bytes() + Path(f"/proc/{address.pid}/environ").read_bytes()
    )
    assert address.password.encode() not in shown


async def test_every_file_is_for_its_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "state"
    server = EmbeddedServer(folder, pick_port())
    before = os.umask(0)
    try:
        address = await server.start()
        connection = Connection.open(patient_address(address.url))
        await connection.call("SET", "a", "b")
        await connection.close()
        paths = [folder, *folder.rglob("*")]
    finally:
        os.umask(before)
        server.stop()
    assert {path.name for path in paths} >= {"store.json", "store.url", "store.log", "appendonlydir"}
    assert [path for path in paths if path.exists() and path.stat().st_mode & 0o077] == []
    assert (folder / "store.url").read_text() == address.tcp_url + "\n"


@pytest.mark.parametrize("mode", [0o755, 0o710, 0o702, 0o777])
async def test_folder_that_is_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "open state"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(SettingsError) as problem:
        await EmbeddedServer(folder, pick_port()).start()
    assert f"mode {mode:04o}" in problem.value.problems[0]
    assert problem.value.next == f"chmod 700 '{folder}'"
    assert list(folder.iterdir()) == []


async def test_files_that_an_earlier_version_left_open_are_closed(
    embedded: EmbeddedServer, tmp_path: Path
) -> None:
    (tmp_path / "appendonlydir").mkdir(mode=0o755)
    old = tmp_path / "appendonlydir" / "old"
    old.touch(mode=0o644)
    await embedded.start()
    assert old.stat().st_mode & 0o077 == 0
    assert old.parent.stat().st_mode & 0o077 == 0


async def test_password_and_port_stay_and_data_too(embedded: EmbeddedServer) -> None:
    first = await embedded.start()
    connection = Connection.open(patient_address(first.url))
    await connection.call("SET", "a", "b")
    await connection.close()
    embedded.stop()
    second = await embedded.start()
    assert (second.password, second.port) == (first.password, first.port)
    connection = Connection.open(patient_address(second.url))
    assert await connection.call("GET", "a") == b"b"
    await connection.close()


async def test_port_that_is_taken_is_replaced(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = EmbeddedServer(tmp_path, port)
        try:
            assert (await server.start()).port != port
        finally:
            server.stop()


async def test_port_that_is_taken_after_the_look_at_it_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = iter([taken.getsockname()[1], pick_port()])
        monkeypatch.setattr(module, "pick_port", lambda _: next(ports))
        server = EmbeddedServer(tmp_path, 1)
        try:
            assert ask((await server.start()).socket_path, "") == "silent"
        finally:
            server.stop()


async def test_folder_with_odd_characters_works(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / 'a "b" \\ c#%é', pick_port())
    try:
        assert await _ping((await server.start()).url) == b"PONG"
    finally:
        server.stop()


async def test_event_loop_goes_on_while_the_server_loads(
    embedded: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["silent", "loading", "loading"])
    monkeypatch.setattr(module, "ask", lambda *_: next(answers, "loading"))
    give_up = asyncio.Event()
    starting = asyncio.create_task(embedded.start(give_up))
    await until(lambda: next(answers, None) is None)
    assert not starting.done()
    give_up.set()
    with pytest.raises(EmbeddedServerError, match="was stopped"):
        await starting


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EINTR, errno.EWOULDBLOCK])
def test_lock_that_fails_leaves_no_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", fail)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(EmbeddedServerError):
        EmbeddedFolder(tmp_path).own()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_server_that_ends_on_a_full_disk_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own log cannot say it: that is on the same disk."""
    folder = EmbeddedFolder(tmp_path)
    problem = folder.explain_end("the embedded server has ended")
    assert (problem.fact, problem.next) == (
        "the embedded server has ended: it printed nothing", f"see {tmp_path}/store.log",
    )  # fmt: skip
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=0))
    problem = folder.explain_end("the embedded server has ended")
    assert problem.fact == f"the embedded server has ended: the disk of {tmp_path} is full"
    assert problem.next.startswith("make room there")
