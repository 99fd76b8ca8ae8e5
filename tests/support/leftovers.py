"""Holds a test run to leaving nothing: no process and no file among the temporary ones."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from tests.support.waiting import PATIENCE_S, wait_until

MARK = "TEST_RUN_MARK"
"""A variable that every process of this run inherits, also one whose parent has gone."""

PREFIX = "rfctl-tests-"
"""A run's folder for temporary files has this in front of the run's process id."""


def delete_folders_of_killed_runs() -> None:
    """Delete the temporary folders of runs whose process has gone; their own processes have ended with it."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        pid = folder.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdigit() and not (Path("/proc") / pid).exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def leaving_nothing() -> Iterator[None]:
    """Give the run a folder for temporary files. Raises AssertionError at the end when anything is left.

    What is left is ended and deleted first. So are the folders of earlier runs that were killed.
    """
    delete_folders_of_killed_runs()
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    variables = {MARK: uuid.uuid4().hex, "TMPDIR": str(folder)}
    with mock.patch.dict(os.environ, variables), mock.patch.object(tempfile, "tempdir", str(folder)):
        try:
            yield
        finally:
            processes = describe_processes()
            kill_processes()
            files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
            shutil.rmtree(folder)
    assert not processes, f"the tests left processes that still ran: {processes}"
    assert not files, f"the tests left temporary files: {files}"


def describe_processes() -> list[str]:
    """Return `pid: command line` of each process that this run started and that still runs."""
    return [f"{pid}: {_read(pid, 'cmdline').replace(chr(0), ' ')[:200]}" for pid in find_processes()]


def find_processes() -> list[int]:
    """Return the ids of the processes that inherited this run's mark; none where there is no /proc."""
    mark = f"{MARK}={os.environ[MARK]}"
    pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    return [pid for pid in pids if pid != os.getpid() and mark in _read(pid, "environ").split("\0")]


def kill_processes() -> None:
    """End what this run has left, and wait until it is gone."""
    for pid in find_processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not find_processes(), PATIENCE_S)


def _read(pid: int, name: str) -> str:
    """Return a file of /proc; empty when the process has ended, or is not ours."""
    try:
        return (Path("/proc") / str(pid) / name).read_text(errors="replace")
    except OSError:
        return ""
