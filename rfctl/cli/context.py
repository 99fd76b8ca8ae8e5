"""What every command gets: the global options, the environment, a way to print, and a way to the store.

Importing it is cheap: `rfctl --help` does.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from rfctl.errors import INTERRUPTED, CannotWriteError, UsageError

if TYPE_CHECKING:
    import asyncio

    from rfctl.cli.output import Output
    from rfctl.config.environment import Environment
    from rfctl.config.loader import Configuration
    from rfctl.store import Store

Result = TypeVar("Result")

_CANNOT_PRINT = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


@dataclass
class Invocation:
    """One run of the command line."""

    output: str = "table"
    config: Path | None = None
    redis: str | None = None
    embedded: bool = False
    debug: bool = False

    @property
    def is_json(self) -> bool:
        """Whether stdout is to be JSON. Raises UsageError for TOML, which only `config` prints."""
        self.check_output()
        return self.output != "table"

    def check_output(self) -> None:
        """Refuse TOML before anything is done: a command that discards messages must print them. Raises UsageError."""
        if self.output == "toml":
            raise UsageError(
                "-o toml is for `rfctl config show` and `config explain sources.NAME` alone",
                next="use -o json or -o table",
            )

    @cached_property
    def out(self) -> Output:
        """What prints for this command."""
        from rfctl.cli.output import Output

        return Output(pretty=self.output != "jsonl", as_lines=self.output == "jsonl")

    @cached_property
    def environment(self) -> Environment:
        """This process's variables and files."""
        from rfctl.config.environment import Environment

        return Environment.actual()

    def configuration(
        self, flags: dict[str, tuple[str, Any]] | None = None, *, notify: bool = False
    ) -> Configuration:
        """Load the settings, with the command's own flags on top; with `notify`, print the notices on stderr."""
        from rfctl.config.loader import load

        layers = dict(flags or {})
        if self.redis:
            layers["redis.url"] = ("--redis", self.redis)
        if self.embedded:
            layers["redis.url"] = ("--embedded", "embedded")
        configuration = load(self.environment, file=self.config, flags=layers)
        for notice in configuration.notices if notify else ():
            note(notice)
        return configuration

    @asynccontextmanager
    async def store(self) -> AsyncIterator[tuple[Store, Configuration]]:
        """Open the Redis of the settings for one command. Raises UsageError for an output that the command has not."""
        from rfctl.assembly.store import open_store

        self.check_output()
        configuration = self.configuration(notify=True)
        store = open_store(configuration, max_connections=2)
        try:
            async with self._naming_taken_keys(store, configuration):
                async with self._noting_other_daemons(store, configuration):
                    await store.check_layout()
                yield store, configuration
        finally:
            await store.close()

    @asynccontextmanager
    async def _naming_taken_keys(self, store: Store, configuration: Configuration) -> AsyncIterator[None]:
        """Say which keys hold a value of another kind, where a command fails for one: Redis does not."""
        from rfctl.errors import KeyTakenError, RfctlError

        try:
            yield
        except KeyTakenError as problem:
            from rfctl.observe.taken_keys import name_taken

            try:
                taken = await store.survey.find_taken_keys(configuration.settings.sinks)
            except RfctlError:
                raise problem from None
            raise name_taken(problem, taken) from None

    @asynccontextmanager
    async def _noting_other_daemons(self, store: Store, configuration: Configuration) -> AsyncIterator[None]:
        """Say in one line on stderr that the daemons of this host use another Redis, also when ours is not reached."""
        from rfctl.errors import RedisUnreachableError, RfctlError
        from rfctl.observe.daemon_files import describe_other_redis, list_living_daemons

        daemons = list_living_daemons(self.environment.runtime_dirs)
        server = None
        try:
            yield
            if daemons:
                with suppress(RfctlError):  # a user without INFO: then nobody can tell
                    server = await store.server_info()
        except RedisUnreachableError:
            note(describe_other_redis(daemons, store.address, server))
            raise
        if server is not None:
            prefix = configuration.settings.redis.prefix
            note(describe_other_redis(daemons, store.address, server, prefix))


def note(line: str) -> None:
    """Print a line on stderr that no error makes; nothing for an empty one."""
    if line:
        from rfctl.cli.output import print_note

        print_note(f"note: {line}")


def invocation(ctx: typer.Context) -> Invocation:
    """Return this run's global options."""
    run = ctx.find_root().obj
    assert isinstance(run, Invocation)  # noqa: S101
    return run


def run_loop(
    work: Coroutine[Any, Any, Result], loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
) -> Result:
    """Run a coroutine to its end, with the garbage collector that `main` has stopped for the start.

    `loop_factory` makes another event loop than asyncio's.
    """
    import asyncio

    if not gc.isenabled():
        gc.freeze()  # what was imported stays to the end
        gc.enable()
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(work)


def abandon_threads() -> None:
    """Let the running loop have threads that nobody waits for at the end: what they look at may never come back."""
    import asyncio

    from rfctl.observe.threads import UnwaitedThreads

    asyncio.get_running_loop().set_default_executor(UnwaitedThreads())


def _close_stdout() -> None:
    """Let what is still to be written go nowhere: Python writes it when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run_async(work: Coroutine[Any, Any, int | None], *, interrupted: int = INTERRUPTED) -> None:
    """Run a command; its number is the exit status. A reader that has gone (`| head`) is a clean end.

    Raises CannotWriteError when the answer cannot be written: the disk is full.
    """
    try:
        status = run_loop(work)
        sys.stdout.flush()
    except KeyboardInterrupt:
        status = interrupted
    except BrokenPipeError:
        _close_stdout()
        status = 0
    except OSError as problem:
        if problem.errno not in _CANNOT_PRINT:
            raise
        _close_stdout()
        raise CannotWriteError(
            f"the answer cannot be written: {problem.strerror}", next="make room, then run it again"
        ) from None
    if status:
        raise typer.Exit(status)
