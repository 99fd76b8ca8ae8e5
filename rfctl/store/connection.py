"""The connection to one Redis: sends commands, runs scripts, names failures.

By default, redis-py repeats a call whose answer was lost, scripts included. Here nothing is repeated behind the
caller's back: a caller that may repeat does so itself, by message id.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from redis import exceptions as rx
from redis.asyncio import Redis

from rfctl import errors
from rfctl.store import replies
from rfctl.store.address import RedisAddress
from rfctl.store.clock import CLOCK_STEP, Clock, ServerClock
from rfctl.store.keys import ShardKeys
from rfctl.store.packed import Packed, count_words, unpack
from rfctl.store.pipe import INTAKE_VERBS, LOOP_VERBS, Pipe, send_together
from rfctl.store.pool import make_pool
from rfctl.store.reply_errors import as_redis_error, explain_failure, is_not_the_master
from rfctl.store.scripts import Script, ScriptLibrary, list_verbs
from rfctl.store.server_info import (
    REDIS_SETTINGS,
    ServerInfo,
    WriteRefusal,
    build_server_info,
    find_write_refusals,
    parse_info,
)

Command = Sequence[bytes | str | int | float]
Keys = Sequence[str | Packed]
Arguments = Sequence[bytes | str | int | Packed]
Execute = Callable[..., Awaitable[Any]]
"""Sends one command, whose parts are the arguments, and returns its answer."""
OnFailure = Callable[[errors.RfctlError], None]
"""Is called with each failure of Redis, before it is raised."""
_FAILURES = (rx.RedisError, OSError, TimeoutError, RuntimeError)
_SETTLED_AT_MOST = 3
"""A call that is late again and again goes without bounds at last."""


def _obey_cancellation() -> None:
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class Connection:
    """A few sockets to one Redis. Its answers are read by `store.replies`; its failures are RfctlErrors.

    The scripts and `now_ms` go by `clock`. `shebang` is False for a server that does not know the `#!lua` line. A client
    without a socket, as a test may have, has no `pipes` either: all its calls are the client's. Of the pipes, the first is
    the intake's, and the second has all other calls that are short. `on_failure` hears of each call that failed.
    """

    def __init__(
        self,
        client: Redis,
        address: RedisAddress,
        *,
        pipes: tuple[Pipe, Pipe] | None = None,
        clock: Clock | None = None,
        shebang: bool = True,
        on_failure: OnFailure = lambda _: None,
    ) -> None:
        # Answers as Redis sends them: redis-py's own forms differ between its releases, and in pipelines.
        client.response_callbacks.clear()
        self._client = client
        self._execute: Execute = client.execute_command
        self._pipes: tuple[Pipe, ...] = pipes or ()
        self._pipe_of: dict[str, Pipe] = {}
        if pipes is not None:
            intake, others = pipes
            self._pipe_of = dict.fromkeys(INTAKE_VERBS, intake) | dict.fromkeys(LOOP_VERBS, others)
        self.address = address
        self.clock = clock or ServerClock()
        self._library = ScriptLibrary(self.clock.include)
        self._shebang = shebang
        self.on_failure = on_failure

    @classmethod
    def open(
        cls,
        address: RedisAddress,
        *,
        max_connections: int = 8,
        clock: Clock | None = None,
        on_failure: OnFailure = lambda _: None,
    ) -> Connection:
        """Return a connection; nothing is sent before the first call. Raises SettingsError for a URL that cannot be."""
        pool = make_pool(address, max_connections)
        timeout_s = address.timeout_ms / 1000
        pipes = Pipe(pool.make_connection, timeout_s), Pipe(pool.make_connection, timeout_s)
        return cls(Redis(connection_pool=pool), address, pipes=pipes, clock=clock, on_failure=on_failure)

    def reopen(self) -> Connection:
        """Return another connection to this Redis, by the same clock, with sockets of its own."""
        return Connection.open(self.address, clock=self.clock, on_failure=self.on_failure)

    @property
    def db(self) -> int:
        """The number of the database."""
        return int(self._client.connection_pool.connection_kwargs.get("db") or 0)

    @contextlib.asynccontextmanager
    async def _naming_failures(self, *, is_optional: bool = False) -> AsyncIterator[None]:
        """Give a failure our name; and a cancellation its effect, which redis-py swallows while it connects."""
        try:
            yield
        except _FAILURES as problem:
            raise await self._name_failure(problem, is_optional=is_optional) from problem
        _obey_cancellation()

    async def _name_failure(self, problem: Exception, *, is_optional: bool = False) -> errors.RfctlError:
        _obey_cancellation()
        problem = as_redis_error(problem)
        if is_not_the_master(problem):
            await self._hang_up()
        failure = explain_failure(problem, self.address)
        is_settled = isinstance(failure, errors.ReplyError) and failure.code == CLOCK_STEP
        if not (is_optional or is_settled):
            self.on_failure(failure)
        return failure

    async def _hang_up(self) -> None:
        """Use new sockets from now on: after a failover the old ones lead to the old server, and the address elsewhere."""
        for pipe in self._pipes:
            pipe.hang_up()
        with contextlib.suppress(rx.RedisError, OSError):
            await self._client.connection_pool.disconnect(inuse_connections=False)

    async def call(self, *command: bytes | str | float, is_optional: bool = False) -> Any:
        """Send one command and return its answer as RESP2 has it: bytes, int, None or a list of them.

        That an optional one is refused counts as no failure: a hosted Redis may keep something to itself.
        """
        async with self._naming_failures(is_optional=is_optional):
            return await self._execute(*command)

    async def calls(
        self, commands: Sequence[Command], *, short: bool = False, is_optional: bool = False
    ) -> list[Any]:
        """Send commands together; the answers in the same order. What is optional is as in `call`.

        Those with `short` answers, which hold up none behind them, go through the pipe where it is open.
        """
        pipe = self._pipes[-1] if short and self._pipes and self._pipes[-1].is_open else None
        async with self._naming_failures(is_optional=is_optional):
            return await send_together(commands, self._client, pipe)

    async def run(self, verb: str, shard: ShardKeys, keys: Keys, args: Arguments) -> Any:
        """Run a script by its hash, by the clock of a shard.

        It is loaded again where the server lost it (restart, SCRIPT FLUSH), and run again after the clock was settled.
        """
        if not self._script(verb).reads_clock:
            return await self._run(verb, keys, args)
        clock, key = self.clock, shard.clock
        if (bounds := clock.fresh_bounds(key)) is None:
            await clock.keep_fresh(self.calls, key)
            bounds = clock.bounds(key)
        for _ in range(_SETTLED_AT_MOST):
            try:
                return await self._run(verb, [*keys, key], [*args, *bounds])
            except errors.ReplyError as problem:
                if problem.code != CLOCK_STEP:
                    raise
                await clock.settle(self.calls, partial(self._set_step, shard), key)
                bounds = clock.bounds(key)
        return await self._run(verb, [*keys, key], [*args, "", ""])

    async def _set_step(self, shard: ShardKeys, before_ms: int, step_ms: int) -> Any:
        return await self._run("set_step", [shard.clock], [before_ms, step_ms])

    async def ask_script(self, verb: str, args: Sequence[bytes | str | int]) -> Any:
        """Run a script that has no key and reads no clock. Returns and raises as `run`."""
        return await self._run(verb, [], args)

    async def load_scripts(self) -> None:
        """Load every script, so that one that the server does not take is seen before a message needs it."""
        for verb in list_verbs():
            async with self._naming_failures():
                await self._load(verb, self._execute)

    async def _run(self, verb: str, keys: Keys, args: Arguments) -> Any:
        # Every message passes here: a context manager, or a coroutine more, would cost more than the call.
        pipe = self._pipe_of.get(verb)
        execute: Execute = self._execute if pipe is None else pipe.execute
        count = count_words(keys)
        words = (*keys, *args) if pipe is not None else unpack((*keys, *args))
        try:
            try:
                answer = await execute("EVALSHA", self._script(verb).sha, count, *words)
            except rx.NoScriptError:
                script = await self._load(verb, execute)  # the same way, so that calls keep their order
                answer = await execute("EVALSHA", script.sha, count, *words)
        except _FAILURES as problem:
            raise await self._name_failure(problem) from problem
        if pipe is None:  # our own socket swallows no cancellation
            _obey_cancellation()
        return answer

    def _script(self, verb: str) -> Script:
        return self._library.script(verb) if self._shebang else self._library.plain_script(verb)

    async def _load(self, verb: str, execute: Execute) -> Script:
        shebang = self._shebang  # another call may find out meanwhile that there is none
        try:
            await execute("SCRIPT", "LOAD", self._script(verb).text)
        except rx.ResponseError as problem:
            if not shebang or "compil" not in str(problem):
                raise
            self._shebang = False  # Redis 6.2; a real mistake in the script fails again, and is raised
            await execute("SCRIPT", "LOAD", self._script(verb).text)
        return self._script(verb)

    async def now_ms(self, shard: ShardKeys) -> int:
        """Return the time by the clock of the scripts of a shard, Unix ms."""
        return await self.clock.now_ms(partial(self.calls, short=True), shard.clock)

    async def read_server_info(self) -> ServerInfo:
        """Return which Redis this is, as far as it tells us. Raises RfctlError."""
        info = await self._read_info()
        if "maxmemory_policy" not in info:
            info |= await self._read_settings(["maxmemory-policy"])
            info["maxmemory_policy"] = info.pop("maxmemory-policy", "?")
        address = self.address
        return build_server_info(
            info, where=address.shown(), db=self.db, set_by=address.set_by, overrides=address.overrides
        )

    async def read_write_refusals(self) -> list[WriteRefusal]:
        """Return why writes are refused now, as far as Redis tells; nothing is written to find it out."""
        settings = await self._read_settings(REDIS_SETTINGS)
        return find_write_refusals(await self._read_info(), settings)

    async def _read_info(self) -> dict[str, str]:
        """Return the fields of INFO; none where a hosted Redis forbids it."""
        try:
            return parse_info(await self.call("INFO", is_optional=True))
        except errors.RightsMissingError:
            return {}
        except errors.ReplyError as problem:
            if "unknown command" not in problem.fact:
                raise
            return {}

    async def _read_settings(self, names: Sequence[str]) -> dict[str, str]:
        """Return settings of Redis by name; a hosted Redis may keep them to itself."""
        answers: list[object] = []
        with contextlib.suppress(errors.RightsMissingError, errors.ReplyError):
            answers = await self.calls([("CONFIG", "GET", name) for name in names], is_optional=True)
        return {
            name: replies.text(value) for answer in answers for name, value in replies.fields(answer).items()
        }

    async def follow_channel(
        self, channel: str, subscribed: asyncio.Event | None = None
    ) -> AsyncIterator[bytes]:
        """Yield what is published, on a socket of its own; `subscribed` is set once nothing can be missed."""
        await asyncio.sleep(0)  # obeys a Ctrl-C that came while nothing waited; redis-py would swallow it
        pubsub = self._client.pubsub()
        try:
            async with self._naming_failures():
                await pubsub.subscribe(channel)
            while True:
                async with self._naming_failures():
                    event = await pubsub.get_message(timeout=1.0)
                if event is not None and event["type"] == "message":
                    yield event["data"]
                elif event is not None and subscribed is not None:
                    subscribed.set()
        finally:
            await pubsub.aclose()  # type: ignore[no-untyped-call]

    async def close(self) -> None:
        """Close every socket; a server that is gone is no reason to fail."""
        try:
            for pipe in self._pipes:
                await pipe.close()
            await self._client.aclose()
            await self._client.connection_pool.disconnect()
        except (rx.RedisError, OSError, asyncio.CancelledError):
            return
