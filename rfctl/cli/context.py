"""What every command is given: the global options, the environment, and a way to the batches."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from rfctl.config.environment import Environment
from rfctl.config.loader import Configuration, load
from rfctl.errors import INTERRUPTED, UsageError
from rfctl.store import Store


@dataclass
class Invocation:
    """One run of the command line."""

    environment: Environment = field(default_factory=Environment.actual)
    output: str = "table"
    config: Path | None = None
    redis: str | None = None
    embedded: bool = False
    debug: bool = False

    @property
    def json(self) -> bool:
        """Whether stdout is to be JSON. Raises UsageError for TOML, which only `config show` prints."""
        if self.output == "toml":
            raise UsageError("-o toml is for `rfctl config show` alone", next="use -o json or -o table")
        return self.output != "table"

    def emit(self, value: Any) -> None:
        """Print one JSON value, with -o jsonl on one line."""
        from rfctl.cli import output as render

        render.emit(value, pretty=self.output == "json")

    def emit_rows(self, rows: Iterable[Any]) -> None:
        """Print what was found as one JSON array, with -o jsonl as one value a line."""
        if self.output == "jsonl":
            for row in rows:
                self.emit(row)
        else:
            self.emit(list(rows))

    def configuration(
        self, flags: dict[str, tuple[str, Any]] | None = None, *, notify: bool = False
    ) -> Configuration:
        """Load the settings, with the command's own flags on top; with `notify`, print the notices on stderr."""
        layers = dict(flags or {})
        if self.redis:
            layers["redis.url"] = ("--redis", self.redis)
        if self.embedded:
            layers["redis.url"] = ("--embedded", "embedded")
        configuration = load(self.environment, file=self.config, flags=layers)
        for notice in configuration.notices if notify else ():
            typer.echo(f"rfctl: note: {notice}", err=True)
        return configuration

    @asynccontextmanager
    async def store(self) -> AsyncIterator[tuple[Store, Configuration]]:
        """Open the Redis of the settings for one command."""
        from rfctl.assembly.store import open_store

        configuration = self.configuration(notify=True)
        store = open_store(configuration, max_connections=2)
        try:
            await store.check_shards()
            yield store, configuration
        finally:
            await store.close()


def invocation(ctx: typer.Context) -> Invocation:
    """Return this run's global options."""
    found = ctx.find_root().obj
    assert isinstance(found, Invocation)  # noqa: S101
    return found


def run_async(work: Coroutine[Any, Any, int | None], *, interrupted: int = INTERRUPTED) -> None:
    """Run a command; its number is the exit status. A reader that has gone (`| head`) is a clean end."""
    try:
        status = asyncio.run(work)
        sys.stdout.flush()
    except KeyboardInterrupt:
        status = interrupted
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    if status:
        raise typer.Exit(status)
