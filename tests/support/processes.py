"""Processes that a test starts: every wait has a deadline, and none outlives its test."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self, cast

from rfctl.sources.generic.node_form import BATCHED
from tests.support.fork_server import Fork, ForkServer
from tests.support.parents import tie_to_parent
from tests.support.waiting import PATIENCE_S

RFCTL = shutil.which("rfctl", path=str(Path(sys.executable).parent)) or "rfctl"

FORK_SERVER = ForkServer(RFCTL)

_running: list[Process] = []


def environment(tmp_path: Path, **variables: str) -> dict[str, str]:
    """Return the variables for a process: nothing of the developer's own settings, and a home of its own."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("RFCTL_", "REDIS_", "XDG_"))
    }
    kept |= {"HOME": str(tmp_path), "PYTHONWARNINGS": "default", "COLUMNS": "120", "TERM": "dumb"}
    return kept | variables


class Output:
    """The lines of a pipe. A thread reads them, so that a test waits for one no longer than it says."""

    def __init__(self, pipe: IO[str]) -> None:
        self.lines: list[str] = []
        """All that came so far, also what was read here already."""
        self._pipe, self._place, self._ended = pipe, 0, False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self._pipe:
            with self._changed:
                self.lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def read_line(self, within_s: float = PATIENCE_S) -> str:
        """Return the next line, empty at the end of the output. Raises AssertionError when none comes in time."""
        with self._changed:
            came = self._changed.wait_for(lambda: self._ended or len(self.lines) > self._place, within_s)
            assert came, f"no line within {within_s:.0f} s after {self.lines[-5:]}"
            if self._place == len(self.lines):
                return ""
            self._place += 1
            return self.lines[self._place - 1]

    def wait_for(self, matches: Callable[[str], bool], within_s: float = PATIENCE_S) -> str:
        """Return the first line of all that matches, now or later. Raises AssertionError when none does."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or any(map(matches, self.lines)), within_s)
            line = next(filter(matches, self.lines), None)
            how = "ended" if self._ended else f"had {within_s:.0f} s"
            assert line is not None, f"the output {how} without the line: {self.lines[-5:]}"
            return line

    def read_all(self, within_s: float = PATIENCE_S) -> str:
        """Wait for the end, and return all of the output."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._ended, within_s), "the output does not end"
            return "".join(self.lines)

    def close(self) -> None:
        """Wait for the end, and close the pipe."""
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "a child of the process that ended still holds its output open"
        self._pipe.close()


class Process:
    """A process in a group of its own, which ends with the block or, at the latest, with the test.

    `stdout` may be a file in place of the pipe.
    """

    def __init__(
        self,
        command: Sequence[str],
        variables: Mapping[str, str],
        *,
        stdout: IO[Any] | None = None,
        **more: Any,
    ) -> None:
        self.command = list(command)
        self.process: Fork | subprocess.Popen[str]
        if FORK_SERVER.can_run(self.command, variables, more):
            self.process = FORK_SERVER.start(self.command, variables, stdout=stdout, **more)
        else:
            self.process = subprocess.Popen(
                tie_to_parent(self.command), env=dict(variables), stdin=subprocess.DEVNULL,
                stdout=stdout or subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
                errors="backslashreplace", process_group=0, **more,
            )  # fmt: skip
        _running.append(self)
        self.stdout = Output(self.process.stdout or io.StringIO())
        self.stderr = Output(self.process.stderr or io.StringIO())

    @property
    def pid(self) -> int:
        """The process's id, and its group's."""
        return self.process.pid

    @property
    def runs(self) -> bool:
        """Whether it lives."""
        return self.process.poll() is None

    def send_signal(self, number: int) -> None:
        """Send a signal, to the process alone; nothing when it has ended."""
        self.process.send_signal(number)

    def wait(self, within_s: float = PATIENCE_S) -> int:
        """Return the exit status. Raises AssertionError when the process does not end by itself in time."""
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            lines = self.stdout.lines[-5:] + self.stderr.lines[-5:]
            raise AssertionError(
                f"{self.command[:4]} does not end within {within_s:.0f} s: {lines}"
            ) from None

    def end(self, number: int = signal.SIGTERM, within_s: float = PATIENCE_S) -> int:
        """Send a signal, and return the exit status that comes of it."""
        try:
            self.send_signal(number)
            return self.wait(within_s)
        finally:
            self.kill()

    def kill(self) -> None:
        """End it and what it started, whatever they do; safe to call twice."""
        if self not in _running:
            return
        _running.remove(self)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait(PATIENCE_S)
        for output in (self.stdout, self.stderr):
            output.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


@contextlib.contextmanager
def killing_what_runs() -> Iterator[None]:
    """Kill what still runs at the end of a test: a test that fails has not come to its own last line."""
    try:
        yield
    finally:
        with contextlib.ExitStack() as kills:
            for process in _running:
                kills.callback(process.kill)


def run(
    command: Sequence[str], variables: Mapping[str, str], *, within_s: float = PATIENCE_S, **more: Any
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    with Process(command, variables, **more) as process:
        status = process.wait(within_s)
        return subprocess.CompletedProcess(
            process.command, status, process.stdout.read_all(), process.stderr.read_all()
        )


def rfctl(
    tmp_path: Path, *line: str, timeout: float = PATIENCE_S, **variables: Any
) -> subprocess.CompletedProcess[str]:
    """Run the installed command to its end."""
    return run([RFCTL, *line], environment(tmp_path, **variables), within_s=timeout)


_PATIENT = {"RFCTL_BATCHING__QUIET_MS": "300000", "RFCTL_BATCHING__MAX_WAIT_MS": "600000"}
"""On a busy machine a batch with the usual timers would leave before the test has looked at it."""


class Daemon(Process):
    """The installed `rfctl serve` on a free port, from its readiness on. Its batches wait, unless a test says otherwise."""

    def __init__(self, tmp_path: Path, *line: str, stdout: Any = None, **variables: str) -> None:
        command = [RFCTL, "serve", "--port", "0", *line]
        super().__init__(command, environment(tmp_path, **{**_PATIENT, **variables}), stdout=stdout)
        self.url: str = self.wait_for_event("daemon_started")["listener"]

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The log so far, oldest first."""
        return [json.loads(line) for line in self.stderr.lines]

    def wait_for_event(self, event: str) -> dict[str, Any]:
        """Return the first line of this event, now or later."""
        line = self.stderr.wait_for(lambda text: _event_of(text) == event)
        return cast(dict[str, Any], json.loads(line))

    def find_event(self, event: str) -> dict[str, Any]:
        """Return the first line of this event so far. Raises StopIteration when there is none."""
        return next(line for line in self.lines if line["event"] == event)

    def post(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Post JSON as a provider does, and return the answer."""
        headers = {"Content-Type": "application/json"}
        return send(urllib.request.Request(self.url + BATCHED, json.dumps(body).encode(), headers))


def _event_of(line: str) -> str:
    """Return the event of a line of the log; empty for another line, such as a traceback's."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return str(json.loads(line)["event"])
    return ""


def send(request: urllib.request.Request) -> dict[str, Any]:
    """Send a request past any proxy, and return the JSON of the answer."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=PATIENCE_S) as answer:
        return cast(dict[str, Any], json.load(answer))
