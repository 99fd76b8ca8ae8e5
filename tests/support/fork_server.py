"""A process that has imported all of rfctl, and forks for each command: most of a short command is the start of Python.

The command still is a process of its own, with its own variables, folder, streams, group and exit status; `kill -9`
kills it. Only its imports are older than it. What Python or the loader reads as it starts cannot be given to a fork: a
command with other variables of that kind is started in earnest, and so is every command while coverage is recorded, and
with TEST_FORK=0.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

ROOT = Path(__file__).parents[2]

_READ_AT_START = (
    "PYTHON", "LD_", "LC_", "LANG", "COVERAGE_", "FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "TERMINAL_WIDTH", "_TYPER_",
)  # fmt: skip
"""What the interpreter, the loader, coverage, or typer reads once, while it is loaded."""

_LARGEST_REQUEST = 1 << 18
_SET_PARENT_DEATH_SIGNAL, _SET_NAME = 1, 15  # of prctl(2)


class Fork:
    """A command that runs in a fork; it is used as a `subprocess.Popen` is."""

    def __init__(self, reports: socket.socket, stdout: IO[str] | None, stderr: IO[str]) -> None:
        self._reports, self.stdout, self.stderr = reports, stdout, stderr
        self._lock = threading.Lock()
        self.returncode: int | None = None
        self.pid = self._receive()

    def _receive(self) -> int:
        report = self._reports.recv(64)
        if not report:
            self._reports.close()
            raise AssertionError("the process that forks has ended: start the tests again with TEST_FORK=0")
        return int(report)

    def poll(self) -> int | None:
        """Return the exit status, None while it runs."""
        return self._read_status(0)

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status. Raises TimeoutExpired."""
        status = self._read_status(timeout)
        if status is None:
            raise subprocess.TimeoutExpired("rfctl", timeout or 0)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal; nothing when it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _read_status(self, within_s: float | None) -> int | None:
        with self._lock:
            if self.returncode is None and select.select([self._reports], [], [], within_s)[0]:
                self.returncode = self._receive()
                self._reports.close()
            return self.returncode


class ForkServer:
    """The tests' end: it starts the process at the first command, and ends it with the block."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._variables: dict[str, str] = {}
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._requests: socket.socket | None = None

    def can_run(
        self, command: Sequence[str], variables: Mapping[str, str], options: Mapping[str, Any]
    ) -> bool:
        """Say whether a fork would be the same as a start."""
        if command[0] != self._program or set(options) - {"cwd"} or os.environ.get("TEST_FORK") == "0":
            return False
        own = self._variables or _at_start(_default_variables())
        return _at_start(variables) == own and "COVERAGE_PROCESS_CONFIG" not in own

    def start(
        self,
        command: Sequence[str],
        variables: Mapping[str, str],
        *,
        stdout: IO[Any] | None = None,
        cwd: Any = None,
    ) -> Fork:
        """Start a command, without input. Its output goes into pipes, stdout into a file when one is lent."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        words = {
            "line": list(command), "variables": dict(variables), "folder": os.fspath(cwd or Path.cwd()),
        }  # fmt: skip
        with contextlib.ExitStack() as lent:
            lent.callback(theirs.close)
            stdin = lent.enter_context(Path(os.devnull).open("rb"))
            read_out, write_out = (None, stdout.fileno()) if stdout else _pipe(lent)
            read_err, write_err = _pipe(lent)
            streams = [theirs.fileno(), stdin.fileno(), write_out, write_err]
            socket.send_fds(self._connect(), [json.dumps(words).encode()], streams)
        return Fork(ours, _text(read_out) if read_out is not None else None, _text(read_err))

    def _connect(self) -> socket.socket:
        with self._lock:
            if self._requests is None:
                self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                variables = _default_variables()
                self._variables = _at_start(variables)
                code = "from tests.support.fork_server import serve; serve()"
                with theirs:
                    # It ends when nobody has our end any more. The kernel would end it already with this thread.
                    self._process = subprocess.Popen(
                        [sys.executable, "-c", code, str(theirs.fileno()), self._program],
                        cwd=ROOT, env=variables, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()],
                    )  # fmt: skip
            return self._requests

    def close(self) -> None:
        """End the process; what it has forked ends with it."""
        with self._lock:
            if self._process is not None and self._requests is not None:
                self._requests.close()
                self._process.wait()
            self._process = self._requests = None


def _default_variables() -> dict[str, str]:
    return {**os.environ, "PYTHONWARNINGS": "default"}


def _at_start(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name.startswith(_READ_AT_START)}


def _pipe(lent: contextlib.ExitStack) -> tuple[int, int]:
    """Return the read end, which stays open, and the write end, which is closed here once it was given away."""
    reads, writes = os.pipe()
    lent.callback(os.close, writes)
    return reads, writes


def _text(descriptor: int) -> IO[str]:
    return os.fdopen(descriptor, "r", encoding="utf-8", errors="backslashreplace")


class _Request(NamedTuple):
    line: list[str]
    variables: dict[str, str]
    folder: str
    streams: list[int]


def serve() -> None:
    """Import rfctl; fork for each request; return in the fork when its command has run, and exit when nobody asks any more."""
    requests = socket.socket(fileno=int(sys.argv[1]))
    program = sys.argv[2]
    if not sys.flags.safe_path:
        sys.path[0] = str(Path(program).parent)  # as Python does for a program
    _import_all()
    gc.collect()
    gc.freeze()
    request = _fork_for_each(requests)
    _become(request)
    from rfctl.cli import main

    main()


def _import_all() -> None:
    package = importlib.import_module("rfctl")
    for module in pkgutil.walk_packages(package.__path__, "rfctl."):
        if not module.name.endswith("__main__"):
            with contextlib.suppress(ImportError):  # an extra that is not installed
                importlib.import_module(module.name)


def _fork_for_each(requests: socket.socket) -> _Request:
    """Return in each fork, with its request; exit when the other end is closed."""
    parent = os.getpid()
    libc = ctypes.CDLL(None)
    poll = select.poll()
    poll.register(requests, select.POLLIN)
    running: dict[int, tuple[int, int]] = {}  # descriptor of the process: its id, where its end is reported
    while True:
        for descriptor, _ in poll.poll():
            if descriptor != requests.fileno():
                poll.unregister(descriptor)
                pid, report = running.pop(descriptor)
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with contextlib.suppress(OSError):  # nobody waits for it any more
                    os.write(report, str(status).encode())
                os.close(report)
                os.close(descriptor)
                continue
            text, streams, _, _ = socket.recv_fds(requests, _LARGEST_REQUEST, 4)
            if not text:
                os._exit(0)  # the kernel ends what still runs
            pid = os.fork()
            if pid == 0:
                os.setpgid(0, 0)
                libc.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
                libc.prctl(_SET_NAME, b"rfctl")
                if os.getppid() != parent:
                    os._exit(1)
                for other, (_, report) in running.items():
                    os.close(other)
                    os.close(report)
                os.close(streams[0])
                requests.close()
                return _Request(**json.loads(text), streams=streams[1:])
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.setpgid(pid, pid)  # whoever comes first: a signal to the group may follow at once
            with contextlib.suppress(OSError):  # nobody waits for it any more
                os.write(streams[0], str(pid).encode())
            for stream in streams[1:]:
                os.close(stream)
            descriptor = os.pidfd_open(pid)
            running[descriptor] = (pid, streams[0])
            poll.register(descriptor, select.POLLIN)


def _become(request: _Request) -> None:
    """Take over the request's streams, variables, folder and command line."""
    for place, stream in enumerate(request.streams):
        os.dup2(stream, place)
        os.close(stream)
    sys.stdin = sys.__stdin__ = open(0, closefd=False)  # type: ignore[misc] # noqa: SIM115
    sys.stdout = sys.__stdout__ = open(1, "w", closefd=False)  # type: ignore[misc] # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(  # type: ignore[misc] # noqa: SIM115
        2, "w", buffering=1, errors="backslashreplace", closefd=False
    )
    os.environ.clear()
    os.environ.update(request.variables)
    time.tzset()
    os.chdir(request.folder)
    sys.argv[:] = request.line
