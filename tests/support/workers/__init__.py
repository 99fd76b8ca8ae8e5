"""Real workers of each queue library, as processes that the test starts and ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers import RedisServer

HERE = Path(__file__).parent
PATIENCE_S = 30


class Worker:
    """One worker process, and what it prints: a JSON line for each job."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        self._process, self._lines = process, process.stdout

    async def job(self) -> dict[str, Any]:
        """The next job that it has done."""
        async with asyncio.timeout(PATIENCE_S):
            while line := await self._lines.readline():
                with contextlib.suppress(ValueError):
                    job = json.loads(line)
                    if isinstance(job, dict):
                        return job
        raise AssertionError("the worker has ended")

    async def rest(self) -> list[dict[str, Any]]:
        """Every job until it ends by itself."""
        async with asyncio.timeout(PATIENCE_S):
            lines = (await self._lines.read()).splitlines()
        return [json.loads(line) for line in lines if line.startswith(b"{")]

    async def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._lines.read()
        await self._process.wait()


@contextlib.asynccontextmanager
async def running(*command: str, **variables: str) -> AsyncIterator[Worker]:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=HERE.parent.parent, env=os.environ | variables,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    worker = Worker(process)
    try:
        yield worker
    finally:
        await worker.end()


def node_modules(variable: str) -> str:
    """The folder that the variable names; skips the test when it, or node, is not here."""
    named = os.environ.get(variable, "")
    if not named:
        pytest.skip(f"{variable} is not set: it names a folder with the npm package bullmq")
    folder = Path(named) / "node_modules" if (Path(named) / "node_modules").is_dir() else Path(named)
    if not (folder / "bullmq").is_dir():
        pytest.skip(f"{variable} names {named}, where there is no npm package bullmq")
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    return str(folder)


def bullmq(server: RedisServer, queue: str, modules: str) -> contextlib.AbstractAsyncContextManager[Worker]:
    script = str(HERE / "bullmq_worker.cjs")
    return running("node", script, "127.0.0.1", str(server.port), queue, NODE_PATH=modules)


def celery(server: RedisServer, queue: str) -> contextlib.AbstractAsyncContextManager[Worker]:
    app = ["-m", "celery", "-A", "tests.support.workers.tasks", "-b", server.url]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "ERROR"]
    return running(sys.executable, *app, "worker", "--pool", "solo", "-Q", queue, *quiet)


def rq(server: RedisServer, queue: str) -> contextlib.AbstractAsyncContextManager[Worker]:
    """A worker as it comes, with its default serializer, that ends when the queue is empty."""
    rq_command = str(Path(sys.executable).parent / "rq")
    return running(rq_command, "worker", "--burst", "-u", server.url, "--path", ".", queue)
