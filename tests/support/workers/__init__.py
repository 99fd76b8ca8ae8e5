"""Real workers of each queue library, as processes that the test starts and ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.support.parents import tie_to_parent
from tests.support.servers import RedisServer
from tests.support.waiting import PATIENCE_S

Answer = TypeVar("Answer")
HERE = Path(__file__).parent


class Worker:
    """One worker process, and what it prints: a JSON line for each job."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        self._process, self._lines = process, process.stdout

    async def job(self) -> dict[str, Any]:
        """Return the next job that it has done. Raises AssertionError when none comes in time."""
        while line := await _in_time(self._lines.readline()):
            with contextlib.suppress(ValueError):
                job = json.loads(line)
                if isinstance(job, dict):
                    return job
        raise AssertionError("the worker has ended")

    async def rest(self) -> list[dict[str, Any]]:
        """Return every job until it ends by itself. Raises AssertionError when it does not end in time."""
        lines = (await _in_time(self._lines.read())).splitlines()
        return [json.loads(line) for line in lines if line.startswith(b"{")]

    async def end(self) -> None:
        """End it and what it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await _in_time(self._lines.read())
        await _in_time(self._process.wait())


async def _in_time(waiting: Awaitable[Answer]) -> Answer:
    try:
        return await asyncio.wait_for(waiting, PATIENCE_S)
    except TimeoutError:
        raise AssertionError(f"the worker did nothing for {PATIENCE_S:.0f} s") from None


@contextlib.asynccontextmanager
async def running(*command: str, **variables: str) -> AsyncIterator[Worker]:
    process = await asyncio.create_subprocess_exec(
        *tie_to_parent(command), cwd=HERE.parent.parent, env=os.environ | variables,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        process_group=0,
    )  # fmt: skip
    worker = Worker(process)
    try:
        yield worker
    finally:
        await worker.end()


def node_modules(variable: str) -> str:
    """Return the folder that the variable names; skips the test when it, or node, is not here."""
    name = os.environ.get(variable, "")
    if not name:
        pytest.skip(
            f"needs {variable}, the folder of an npm package bullmq: scripts/test fetches it and sets it"
        )
    folder = Path(name) / "node_modules" if (Path(name) / "node_modules").is_dir() else Path(name)
    if not (folder / "bullmq").is_dir():
        pytest.skip(
            f"needs an npm package bullmq in {name}, which {variable} names: npm install bullmq ioredis"
        )
    if shutil.which("node") is None:
        pytest.skip("needs node (Debian's nodejs)")
    return str(folder)


def bullmq(server: RedisServer, queue: str, modules: str) -> contextlib.AbstractAsyncContextManager[Worker]:
    script = str(HERE / "bullmq_worker.cjs")
    return running("node", script, "127.0.0.1", str(server.port), queue, NODE_PATH=modules)


def celery(server: RedisServer, queue: str) -> contextlib.AbstractAsyncContextManager[Worker]:
    app = ["-m", "celery", "-A", "tests.support.workers.tasks", "-b", server.url]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "ERROR"]
    return running(sys.executable, *app, "worker", "--pool", "solo", "-Q", queue, *quiet)


def rq(server: RedisServer, queue: str, *options: str) -> contextlib.AbstractAsyncContextManager[Worker]:
    """A worker that ends when the queue is empty: as it comes, with its default serializer, or with these options."""
    rq_command = str(Path(sys.executable).parent / "rq")
    return running(rq_command, "worker", "--burst", "-u", server.url, "--path", ".", *options, queue)
