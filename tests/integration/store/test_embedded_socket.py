"""The folder of a socket whose own path would be too long: whoever is killed leaves it, and the next start removes it."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rfctl.store.embedded import EmbeddedServer, ask
from rfctl.store.embedded_socket import SOCKET, SocketFolder, remove_orphans
from tests.support.processes import Daemon
from tests.support.servers import pick_port

LONG = "state-folder-of-a-path-that-no-socket-may-have-" * 2


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files, of a short path."""
    folder = Path(tempfile.mkdtemp())
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    shutil.rmtree(folder)


def make_orphan(temporary: Path, *names: str) -> Path:
    folder = temporary / f"rfctl-socket-{'-'.join(names)}"
    folder.mkdir(mode=0o700)
    for name in names:
        (folder / name).touch()
    return folder


@pytest.mark.real
@pytest.mark.command
def test_killed_daemon_leaves_a_folder_and_the_next_start_removes_it_but_no_living_one(
    tmp_path: Path, temporary: Path
) -> None:
    def start(name: str) -> Daemon:
        home = tmp_path / name
        (home / LONG).mkdir(parents=True, mode=0o700)
        variables = {
            "RFCTL_REDIS__EMBEDDED_DIR": str(home / LONG),
            "RFCTL_REDIS__EMBEDDED_PORT": str(pick_port()),
        }
        return Daemon(home, "--embedded", TMPDIR=str(temporary), **variables)

    with start("lives") as living:
        socket = Path(living.find_event("embedded_server_started")["socket"])
        with start("killed") as killed:
            orphan = Path(killed.find_event("embedded_server_started")["socket"]).parent
            killed.end(signal.SIGKILL)
        assert {path.name for path in temporary.iterdir()} == {socket.parent.name, orphan.name}
        with start("next") as following:
            own = Path(following.find_event("embedded_server_started")["socket"]).parent
            assert {path.name for path in temporary.iterdir()} == {socket.parent.name, own.name}
            assert following.end() == 0
        assert socket.is_socket()
        assert living.end() == 0
    assert list(temporary.iterdir()) == []


@pytest.mark.real
async def test_server_of_a_short_path_removes_them_too(tmp_path: Path, temporary: Path) -> None:
    orphans = [make_orphan(temporary), make_orphan(temporary, SOCKET)]
    server = EmbeddedServer(tmp_path, pick_port())
    try:
        address = await server.start()
        assert ask(address.socket_path, address.password) == "ready"
        assert [path for path in orphans if path.exists()] == []
    finally:
        server.stop()


def test_folder_is_for_its_user_alone_and_goes_with_its_socket(temporary: Path) -> None:
    folder = SocketFolder()
    assert folder.path.stat().st_mode & 0o777 == 0o700
    (folder.path / SOCKET).touch()
    remove_orphans()
    assert (folder.path / SOCKET).exists()
    for _ in range(2):
        folder.remove()
        assert list(temporary.iterdir()) == []


def test_what_is_no_orphan_stays(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (temporary / "rfctl-socket-file").touch()
    elsewhere = make_orphan(temporary).rename(temporary / "elsewhere")
    (temporary / "rfctl-socket-link").symlink_to(elsewhere)
    make_orphan(temporary, "something")
    before = sorted(temporary.rglob("*"))
    remove_orphans()
    assert sorted(temporary.rglob("*")) == before
    make_orphan(temporary, SOCKET)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)  # as another user sees it
    before = sorted(temporary.rglob("*"))
    remove_orphans()
    assert sorted(temporary.rglob("*")) == before


@pytest.mark.parametrize("when", ["before the lock", "while another has it"])
def test_folder_that_is_taken_for_an_orphan_at_its_begin_is_replaced(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    paths: list[Path] = []

    def make(prefix: str) -> str:
        path = temporary / f"{prefix}{len(paths)}"
        paths.append(path)
        if len(paths) == 2 or when == "while another has it":
            path.mkdir()
        return str(path)

    def lock(*_: Any) -> None:
        if len(paths) == 1:
            raise BlockingIOError(errno.EWOULDBLOCK, "locked")

    monkeypatch.setattr(tempfile, "mkdtemp", make)
    monkeypatch.setattr(fcntl, "flock", lock)
    folder = SocketFolder()
    assert folder.path == paths[1]
    folder.remove()


def test_where_no_lock_can_be_had_the_folder_is_made_and_stays_until_it_is_removed(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", fail)
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    folder = SocketFolder()
    remove_orphans()
    assert folder.path.is_dir()
    folder.remove()
    assert list(temporary.iterdir()) == []
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
