"""The one room that knows redis-py: opens the connection, names its failures, says which Redis it is.

redis-py repeats a call whose answer was lost, scripts included, unless it is told not to; here nothing is
ever repeated behind the caller's back. Who may repeat (the daemon, by message id) does it knowingly.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from redis import exceptions as rx
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from rfctl import errors
from rfctl.store.scripts import Script, script
from rfctl.store.server_info import (
    REDIS_SETTINGS,
    ServerInfo,
    WriteRefusal,
    parse_info,
    server_info_from,
    write_refusals,
)
from rfctl.text import mask_url

_UNNAMED: dict[type[Exception], str] = {
    rx.BusyLoadingError: "LOADING",
    rx.OutOfMemoryError: "OOM",
    rx.ReadOnlyError: "READONLY",
    rx.MasterDownError: "MASTERDOWN",
    rx.ClusterDownError: "CLUSTERDOWN",
    rx.TryAgainError: "TRYAGAIN",
}
"""The errors whose code redis-py takes out of the message."""
_CREDENTIALS = ("NOAUTH", "WRONGPASS", "NOPERM")
_NOT_THE_MASTER = ("READONLY", "MASTERDOWN", "UNBLOCKED")
_OF_A_SCRIPT = re.compile(r": -([A-Z]+) ")
"""Where Redis 6.2 has the code of an error that a command inside a script was answered."""

Command = Sequence[bytes | str | int | float]


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Where Redis is to be found and who said so. Timeouts in ms."""

    url: str
    set_by: str
    connect_timeout_ms: int = 1500
    timeout_ms: int = 2000
    overrides: str = ""

    def shown(self) -> str:
        """Return the URL without its password."""
        return mask_url(self.url)


def pairs(flat: list[Any]) -> list[tuple[Any, Any]]:
    """Return [a, 1, b, 2] as [(a, 1), (b, 2)]."""
    return list(zip(flat[::2], flat[1::2], strict=True))


def _refused(address: RedisAddress, message: str) -> errors.RfctlError:
    return errors.CredentialsRefusedError(
        f"Redis at {address.shown()} refused us: {message}",
        set_by=address.set_by,
        next="put the right user and password into redis.url, or allow the commands to that user",
    )


def _code(problem: Exception, message: str) -> str:
    """Return the word with which Redis begins an error."""
    inside = _OF_A_SCRIPT.search(message)
    return inside[1] if inside else _UNNAMED.get(type(problem)) or message.split(" ", 1)[0]


def explain(problem: Exception, address: RedisAddress) -> errors.RfctlError:
    """Return our error for what redis-py or the socket raised."""
    message = str(problem).strip() or type(problem).__name__
    code = _code(problem, message)
    denied = isinstance(problem, rx.AuthenticationError | rx.AuthorizationError | rx.NoPermissionError)
    if denied or code in _CREDENTIALS or "invalid username-password" in message:
        return _refused(address, message)
    if code in errors.CANNOT_NOW:
        fact = f"Redis at {address.shown()} cannot serve this now: {message}"
        return errors.RedisCannotNowError(fact, set_by=address.set_by, next=errors.CANNOT_NOW[code])
    if isinstance(problem, rx.ConnectionError | rx.TimeoutError | rx.InvalidResponse | OSError):
        return _unreachable(problem, message, address)
    if "DB index is out of range" in message:
        return errors.wrong_settings(
            [f"redis.url: Redis at {address.shown()} has no such database (set by {address.set_by})"],
            [address.set_by],
            next="use a lower number behind the port, or raise `databases` in redis.conf",
        )
    if "wrong kind of value" in message:
        return errors.KeyTakenError(
            f"a key of ours holds another kind of value at {address.shown()}: {message}",
            set_by=address.set_by,
            next="find out who writes rfctl:* there, or use another database",
        )
    return errors.RfctlError(
        f"Redis at {address.shown()} answered an error: {message}", set_by=address.set_by
    )


def _unreachable(problem: Exception, message: str, address: RedisAddress) -> errors.RfctlError:
    where = address.shown()
    if isinstance(problem, rx.TimeoutError | TimeoutError):
        fact = f"Redis at {where} does not answer within {address.timeout_ms} ms"
        step = "something accepts connections there and is silent, or is too slow: a dead tunnel?"
    elif isinstance(problem, rx.InvalidResponse) or "Protocol Error" in message:
        fact, step = f"what answers at {where} is not a Redis", "check host and port in redis.url"
    elif "CERTIFICATE_VERIFY_FAILED" in message:
        fact = f"Redis at {where} shows a certificate that nobody known vouches for: {message}"
        step = "put ?ssl_ca_certs=/path/of/ca.crt behind its URL"
    else:
        fact = f"Redis at {where} cannot be reached: {message}"
        step = "start it, or set redis.url (or try `--embedded`)"
    return errors.RedisUnreachableError(fact, set_by=address.set_by, overrides=address.overrides, next=step)


def _obey_cancellation() -> None:
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class Connection:
    """A few sockets to one Redis, with typed calls and named errors."""

    def __init__(self, client: Redis, address: RedisAddress, *, shebang: bool = True) -> None:
        # Answers as Redis sends them: redis-py's own forms differ between its releases, and in pipelines.
        client.response_callbacks.clear()
        self._client = client
        self._execute: Callable[..., Awaitable[Any]] = client.execute_command
        self.address = address
        self._shebang = shebang

    @classmethod
    def open(cls, address: RedisAddress, *, most: int = 8) -> Connection:
        """Return a connection; nothing is sent before the first call."""
        try:
            pool = BlockingConnectionPool.from_url(
                address.url,
                max_connections=most,
                timeout=address.timeout_ms / 1000,
                socket_connect_timeout=address.connect_timeout_ms / 1000,
                socket_timeout=address.timeout_ms / 1000,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
            )
        except ValueError as problem:
            raise errors.wrong_settings(
                [f"redis.url: {problem} (set by {address.set_by})"],
                [address.set_by],
                next="write it as redis://[user:password@]host:port/db, rediss://… or unix:///path?db=0",
            ) from None
        return cls(Redis(connection_pool=pool), address)

    @property
    def db(self) -> int:
        """Return the number of the database."""
        return int(self._client.connection_pool.connection_kwargs.get("db") or 0)

    @contextlib.asynccontextmanager
    async def _named(self) -> AsyncIterator[None]:
        """Give a failure our name; and a cancellation its effect, which redis-py swallows while it connects."""
        try:
            yield
        except (rx.RedisError, OSError, TimeoutError) as problem:
            _obey_cancellation()
            if _code(problem, str(problem)) in _NOT_THE_MASTER:
                await self._hang_up()
            raise explain(problem, self.address) from problem
        _obey_cancellation()

    async def _hang_up(self) -> None:
        """Close the idle sockets: after a failover the same address may lead to another server, and they to the old one."""
        with contextlib.suppress(rx.RedisError, OSError):
            await self._client.connection_pool.disconnect(inuse_connections=False)

    async def call(self, *command: bytes | str | float) -> Any:
        """Send one command and return its answer as RESP2 has it: bytes, int, None or a list of them."""
        async with self._named():
            return await self._execute(*command)

    async def calls(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands in one write; the answers in the same order."""
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        async with self._named():
            # An error that the pipeline raised itself would have our command, with its phones, before its code.
            answers = list(await pipeline.execute(raise_on_error=False))
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
            return answers

    async def run(self, verb: str, keys: Sequence[str], args: Sequence[bytes | str | int]) -> Any:
        """Run a script by its hash; a server that lost it (restart, SCRIPT FLUSH) is given it again."""
        async with self._named():
            return await self._evalsha(verb, keys, args)

    async def _evalsha(self, verb: str, keys: Sequence[str], args: Sequence[bytes | str | int]) -> Any:
        wanted = self._text(verb)
        try:
            return await self._execute("EVALSHA", wanted.sha, len(keys), *keys, *args)
        except rx.NoScriptError:
            wanted = await self._load(verb)
        return await self._execute("EVALSHA", wanted.sha, len(keys), *keys, *args)

    def _text(self, verb: str) -> Script:
        return script(verb) if self._shebang else script(verb).without_shebang()

    async def _load(self, verb: str) -> Script:
        tried = self._text(verb)
        try:
            await self._execute("SCRIPT LOAD", tried.text)
        except rx.ResponseError as problem:
            if tried != script(verb) or "compil" not in str(problem):
                raise
            self._shebang = False  # Redis 6.2; a real mistake in the script fails again, and is raised
            await self._execute("SCRIPT LOAD", self._text(verb).text)
        return self._text(verb)

    async def now_ms(self) -> int:
        """Return the time by the clock of Redis, Unix ms."""
        seconds, micros = await self.call("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    async def server(self) -> ServerInfo:
        """Ask which Redis this is."""
        info = parse_info(await self.call("INFO"))
        return server_info_from(info, where=self.address.shown(), db=self.db, set_by=self.address.set_by)

    async def write_refusals(self) -> list[WriteRefusal]:
        """Ask why writes are refused now; nothing is written to find it out."""
        told: list[list[bytes]] = []
        with contextlib.suppress(errors.RfctlError):  # a hosted Redis may keep its settings to itself
            told = await self.calls([("CONFIG", "GET", name) for name in REDIS_SETTINGS])
        rules = {name.decode(): value.decode() for answer in told for name, value in pairs(answer)}
        return write_refusals(parse_info(await self.call("INFO")), rules)

    async def published(self, channel: str, subscribed: asyncio.Event | None = None) -> AsyncIterator[bytes]:
        """Yield what is published, on a socket of its own; `subscribed` is set once nothing can be missed."""
        await asyncio.sleep(
            0
        )  # a Ctrl-C that came while we did not wait is obeyed here, before redis-py swallows it
        pubsub = self._client.pubsub()
        try:
            async with self._named():
                await pubsub.subscribe(channel)
            while True:
                async with self._named():
                    got = await pubsub.get_message(timeout=1.0)
                if got is not None and got["type"] == "message":
                    yield got["data"]
                elif got is not None and subscribed is not None:
                    subscribed.set()
        finally:
            await pubsub.aclose()  # type: ignore[no-untyped-call]

    async def close(self) -> None:
        """Close every socket; a server that is gone is no reason to fail."""
        try:
            await self._client.aclose()
            await self._client.connection_pool.disconnect()
        except (rx.RedisError, OSError, asyncio.CancelledError):
            return
