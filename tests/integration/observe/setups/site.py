"""One operator's site: a Redis, daemons in the test's own loop, and doctor, which looks at it as a shell would."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shlex
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from redis import Redis

from rfctl.assembly.doctor import Doctor
from rfctl.config.environment import Environment
from rfctl.config.loader import Configuration, load
from rfctl.daemon.daemon import Daemon
from rfctl.observe import logging as logs
from rfctl.observe.diagnosis import Diagnosis, DiagnosisLine
from rfctl.observe.facts import Machine
from tests.support.processes import rfctl
from tests.support.servers import RedisServer, pick_port
from tests.support.waiting import until

QUICK: dict[str, Any] = {"batching__quiet_ms": 50, "batching__max_wait_ms": 5000, "daemon__max_sleep_ms": 50}


class Site:
    """`shell` are the settings that doctor has; `machine` are the files of its host, which a test may write."""

    def __init__(self, server: RedisServer, folder: Path, stack: contextlib.AsyncExitStack) -> None:
        self.server, self.folder, self._stack = server, folder, stack
        self.port = pick_port()
        self.variables: dict[str, str] = {}
        self.machine = Machine(folder / "machine")
        self.shell = self.configure()
        self._stops: dict[Daemon, contextlib.AsyncExitStack] = {}

    def configure(self, text: str = "", url: str = "", **settings: Any) -> Configuration:
        """Return settings as a user's environment gives them; `text` is that of the settings file."""
        file = self.folder / "config.toml"
        if text:
            file.write_text(text)
            file.chmod(0o600)
        variables = {"HOME": str(self.folder), "RFCTL_HTTP__PORT": str(self.port)}
        variables |= {"RFCTL_REDIS__URL": url or self.server.url, **self.variables}
        variables |= {f"RFCTL_{name.upper()}": str(value) for name, value in settings.items()}
        environment = Environment(variables, file, self.folder / "run")
        return load(environment)

    async def start(self, configuration: Configuration | None = None, **more: Any) -> Daemon:
        """Start a daemon, by default with the shell's settings."""
        logs.configure(level="error", format="json", mask=True)
        daemon = Daemon(configuration or self.shell, **more)
        stack = await self._stack.enter_async_context(contextlib.AsyncExitStack())
        await daemon.start()
        stack.push_async_callback(daemon.stop)
        self._stops[daemon] = stack
        return daemon

    async def start_with_file(self, text: str) -> Daemon:
        """Start a daemon whose settings are in a file; it reads that again at a reload."""
        self.shell = self.configure(text)

        def read_again() -> Configuration:
            return self.configure()

        return await self.start(load=read_again)

    async def stop(self, daemon: Daemon) -> None:
        """Stop a daemon as an operator does."""
        await self._stops.pop(daemon).aclose()

    async def diagnose(self) -> Diagnosis:
        """Return what doctor says now."""
        return await Doctor(self.shell, self.machine).diagnose()

    async def wait_for_first(self, code: str, *words: str) -> DiagnosisLine:
        """Wait until doctor names this first, and return the line; it has these words."""
        line: DiagnosisLine = await until(partial(self._read_first, code))
        text = f"{line.fact} · {line.set_by} · {line.fix}"
        assert all(word in text for word in words), text
        assert line.fix
        return line

    async def _read_first(self, code: str) -> DiagnosisLine | None:
        first = (await self.diagnose()).lines[0]
        self._last = first
        return first if first.code == code else None

    async def wait_until_clean(self) -> None:
        """Wait until doctor has nothing to say."""
        await until(self._is_clean)

    async def _is_clean(self) -> bool:
        return (await self.diagnose()).state == "ok"

    async def run_rfctl(self, *line: str, **settings: Any) -> str:
        """Run a command as an operator does, on this Redis, and return what it says; it must succeed."""
        variables: dict[str, Any] = {f"RFCTL_{name.upper()}": str(value) for name, value in settings.items()}
        variables["RFCTL_REDIS__URL"] = self.server.url
        done = await asyncio.to_thread(rfctl, self.folder, *line, **variables)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def client(self) -> Redis:
        """Return a client that ends with the test."""
        client: Redis = self._stack.enter_context(self.server.client())
        return client

    def follow(self, fix: str) -> None:
        """Run what a fix says for Redis, word for word."""
        for command in re.findall(r"redis-cli (.+?)(?: gives it up|; |$)", fix):
            self.run(*shlex.split(command))

    def run(self, *command: Any) -> Any:
        """Send a command to Redis as an operator does."""
        return self.client().execute_command(*command)  # type: ignore[no-untyped-call]

    async def post(
        self, daemon: Daemon, phone: str = "79001234567", text: str = "x", path: str = "/webhook/generic"
    ) -> int:
        """Post a message to a daemon, and return the status."""
        async with httpx.AsyncClient(base_url=daemon.url, trust_env=False) as http:
            return (await http.post(path, json={"from": phone, "message": text})).status_code


Cure = Callable[[], Any]


@contextlib.asynccontextmanager
async def opening(server: RedisServer, folder: Path) -> AsyncIterator[Site]:
    """Open a site, and end all of it."""
    async with contextlib.AsyncExitStack() as stack:
        yield Site(server, folder, stack)
