"""Real servers that a test starts itself: free ports on loopback, a folder of their own, nothing left."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import redis

from rfctl.store.address import RedisAddress
from rfctl.store.embedded import find_binary
from tests.support.least_rights import user_option
from tests.support.parents import tie_to_parent
from tests.support.waiting import PATIENCE_S, wait_until

KINDS = [kind for kind in os.environ.get("TEST_REDIS_SERVERS", "embedded").split(",") if kind]

_FIRST_PORT, _PORTS_OF_A_WORKER, _WORKERS = 20_000, 750, 16
_PATIENCE_MS = int(PATIENCE_S * 1000)
_ATTEMPTS = 5


def _ports() -> itertools.cycle[int]:
    """Give each worker of a run ports of its own, below those that outgoing connections get (32768 and up)."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
    ports = [_FIRST_PORT + worker * _PORTS_OF_A_WORKER + place for place in range(_PORTS_OF_A_WORKER)]
    start = random.SystemRandom().randrange(_PORTS_OF_A_WORKER)
    return itertools.cycle(ports[start:] + ports[:start])


_next_ports = _ports()


def pick_port() -> int:
    """Return a port that nobody has, and that nobody is likely to get while its server is away for a moment."""
    for port in itertools.islice(_next_ports, _PORTS_OF_A_WORKER):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError(f"no port is free from {_FIRST_PORT} on")


def program(kind: str) -> str:
    """Return the path of this kind of server. Raises RuntimeError when it is not installed."""
    if kind == "embedded":
        return find_binary()
    path = shutil.which(kind)
    if path is None:
        raise RuntimeError(f"TEST_REDIS_SERVERS names {kind}, which is not on this machine")
    return path


def patient_address(url: str) -> RedisAddress:
    """Return the address of a server for a test's own use: an answer may take as long as on a busy machine."""
    return RedisAddress(url, "the test", connect_timeout_ms=_PATIENCE_MS, timeout_ms=_PATIENCE_MS)


class RedisServer:
    """A server process on one port for all its lives; the first start looks for a free one."""

    def __init__(self, kind: str, *options: str, appendonly: str = "yes") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rfctl-test-"))
        self.kind, self.options, self.appendonly = kind, options, appendonly
        self.port = 0
        self.socket = str(self.folder / "s.sock")
        self.process: subprocess.Popen[bytes] | None = None
        self.variables: dict[str, str] = {}
        """What its environment has besides the test's own."""

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> RedisServer:
        """Start the server and wait until it answers. Raises AssertionError when it does not."""
        if self.port:
            assert self._start(), f"the server did not start again on port {self.port}: {self._last_words()}"
            return self
        for _ in range(_ATTEMPTS):  # another program may take the port before the server does
            self.port = pick_port()
            if self._start():
                return self
        raise AssertionError(f"the server did not start on {_ATTEMPTS} ports: {self._last_words()}")

    def _start(self) -> bool:
        """Return whether it answers; False when it has ended."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                tie_to_parent(self._command()), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                process_group=0, env={**os.environ, **self.variables},
            )  # fmt: skip
        try:
            wait_until(lambda: self._answers() or not self.runs)
        except BaseException:
            self.kill()
            raise
        return self.runs

    def _command(self) -> list[str]:
        return [
            program(self.kind), "--bind", "127.0.0.1", "--port", str(self.port), "--unixsocket", self.socket,
            "--dir", str(self.folder), "--save", "", "--appendonly", self.appendonly, "--appendfsync", "always",
            *user_option(), *self.options,
        ]  # fmt: skip

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            probe.connect(self.socket)
            probe.sendall(b"PING\r\n")
            return probe.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        return False

    def _last_words(self) -> str:
        return "; ".join((self.folder / "log").read_text(errors="replace").splitlines()[-3:])

    @property
    def runs(self) -> bool:
        """Whether the process lives."""
        return self.process is not None and self.process.poll() is None

    def client(self) -> redis.Redis:
        """Return a client for the test's own questions, which waits for no answer for ever."""
        return redis.Redis.from_url(self.url, socket_timeout=PATIENCE_S, decode_responses=True)

    def read_config(self) -> Mapping[str, str]:
        """Return every setting that the server has now."""
        with self.client() as client:
            return dict(client.config_get("*"))

    def restore_config(self, before: Mapping[str, str]) -> None:
        """Set what was changed since `before` to what it was."""
        changed = {name: before[name] for name, value in self.read_config().items() if before[name] != value}
        with self.client() as client:
            for name, value in changed.items():
                client.config_set(name, value)

    def read_version(self) -> tuple[int, int]:
        """Return the version of Redis that it is compatible with."""
        with self.client() as client:
            major, minor, *_ = str(client.info("server")["redis_version"]).split(".")
        return int(major), int(minor)

    def empty(self) -> None:
        """Delete all that is stored."""
        with self.client() as client:
            client.flushall()

    def send_signal(self, number: int) -> None:
        """Send a signal to the process."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """End the process as a crash does, with the child that may be rewriting its append-only file."""
        # Once its end was seen, its id may be another's.
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(PATIENCE_S)

    def stop(self) -> None:
        """End the process, and leave no file; safe to call twice."""
        self.kill()
        wait_until(self._remove_folder)  # that child may still write: nobody can wait for its end

    def _remove_folder(self) -> bool:
        shutil.rmtree(self.folder, ignore_errors=True)
        return not self.folder.exists()


class ServerMaker(Protocol):
    """Starts a server for this test alone: it may be killed, and its settings may be changed."""

    def __call__(self, *options: str, **more: Any) -> RedisServer: ...
