"""The pages of docs/recipes: their settings, programs and commands as they stand there, to be run by tests."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import httpx

from tests.support.processes import Daemon, Process, environment, rfctl, run
from tests.support.servers import RedisServer
from tests.support.site.blocks import list_blocks_of
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "recipes"


def list_blocks(text: str, kind: str) -> list[str]:
    """Return the blocks of code of a kind (`toml`, `python`, `sh`, `json`) in a page of Markdown, unindented."""
    return [block.code for block in list_blocks_of(text) if block.kind == kind]


@dataclass(frozen=True, slots=True)
class Recipe:
    """One page."""

    name: str

    @property
    def text(self) -> str:
        """The whole page."""
        return (FOLDER / f"{self.name}.md").read_text()

    def list(self, kind: str) -> list[str]:
        """Return the blocks of a kind, in their order."""
        return list_blocks(self.text, kind)

    def take(self, kind: str, part: str) -> str:
        """Return the only block of a kind that has this part."""
        [block] = [block for block in self.list(kind) if part in block]
        return block

    def take_line(self, start: str, part: str = "") -> str:
        """Return the only command that begins so and has this part, with the lines on which it goes on."""
        lines = [line for block in list_blocks_of(self.text) for line in block.commands]
        [line] = [line for line in lines if line.startswith(start) and part in line]
        return line


class Site:
    """A daemon with the settings of a page, and what belongs to it. Two messages end a batch: no test waits for quiet."""

    def __init__(self, folder: Path, server: RedisServer) -> None:
        self.folder, self.server = folder, server
        self.file = folder / "recipe.toml"
        self.variables = {"RFCTL_REDIS__URL": server.url, "RFCTL_BATCHING__MAX_SIZE": "2"}
        self.url = ""

    @contextlib.asynccontextmanager
    async def serving(self, settings: str, **variables: str) -> AsyncIterator[httpx.AsyncClient]:
        """Run a daemon with these settings; gives a client of its door."""
        self.file.write_text(settings)
        self.variables |= variables
        daemon = await asyncio.to_thread(
            Daemon, self.folder, "--config", str(self.file), RFCTL_HTTP__PORT="0", **self.variables
        )
        self.url = daemon.url
        try:
            async with httpx.AsyncClient(base_url=daemon.url, trust_env=False, timeout=30) as client:
                yield client
        finally:
            await asyncio.to_thread(daemon.end)

    async def run(self, *line: str) -> CompletedProcess[str]:
        """Run rfctl with these settings to its end."""
        variables: dict[str, Any] = self.variables
        return await asyncio.to_thread(rfctl, self.folder, "--config", str(self.file), *line, **variables)

    async def run_shell(self, line: str, **variables: str) -> CompletedProcess[str]:
        """Run a command line of a page; curl goes past any proxy."""
        line = re.sub(r"^curl ", "curl -sS --fail --noproxy '*' ", line)
        return await asyncio.to_thread(run, ["bash", "-c", line], {**os.environ, **variables})

    @contextlib.asynccontextmanager
    async def working(self, program: str, **variables: str) -> AsyncIterator[Process]:
        """Run the worker of a page until the block ends. It finds modules in the folder."""
        script = self.folder / "worker.py"
        script.write_text(program)
        variables |= {"RFCTL_REDIS__URL": self.server.url, "NO_PROXY": "*", "PYTHONUNBUFFERED": "1"}
        worker = Process([sys.executable, str(script)], environment(self.folder, **variables))
        try:
            yield worker
        finally:
            await asyncio.to_thread(worker.kill)

    async def wait_until_acknowledged(self, messages: int, group: str = "bot") -> None:
        """Wait until a group has read so many merged messages, and acknowledged all of them."""

        def is_done() -> bool:
            with self.server.client() as client:
                groups = {each["name"]: each for each in client.xinfo_groups("rfctl:out")}
                stream = client.xinfo_stream("rfctl:out")
            read_to, pending = groups[group]["last-delivered-id"], groups[group]["pending"]
            return bool(
                stream["length"] == messages and read_to == stream["last-generated-id"] and not pending
            )

        await until(is_done)

    def read_totals(self) -> dict[str, int]:
        """Return what was counted so far, by its name."""
        with self.server.client() as client:
            fields = client.hgetall("rfctl:totals")
        return {name: int(value) for name, value in fields.items()}


def build_evolution_message(
    instance: str,
    phone: str,
    text: str,
    id: str,  # noqa: A002
    *,
    is_own: bool = False,
) -> dict[str, Any]:
    """Return what an instance of Evolution API sends for a message."""
    return {
        "event": "messages.upsert",
        "instance": instance,
        "sender": "5511900000000@s.whatsapp.net",
        "apikey": "the instance's own",
        "data": {
            "key": {"remoteJid": f"{phone}@s.whatsapp.net", "fromMe": is_own, "id": id},
            "pushName": "Anna",
            "message": {"conversation": text},
            "messageType": "conversation",
            "messageTimestamp": 1795536770,
        },
    }
