"""Delivers a merged message to a program of the operator: a line of JSON on its standard input, its exit status is the answer.

Nothing that a stranger typed reaches the command line or the environment. Of the daemon's own variables the program gets
what every program needs and what the sink's `env` names: neither our settings, nor systemd's credentials and sockets.
It promises that when a delivery ends, in whatever way, nothing of the program's process group runs on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Iterator, Sequence

from rfctl.errors import SettingsError
from rfctl.model.delivery import Delivery
from rfctl.sinks.command.config import CommandConfig
from rfctl.sinks.contract import DeliveryError
from rfctl.sinks.payload import encode_line
from rfctl.text import duration, visible

UNDELIVERABLE_STATUS = 65
"""EX_DATAERR of sysexits.h: the program says that this message can never be taken."""
GRACE_MS = 2_000
"""How long a program may take to end after SIGTERM."""
LAST_WORDS_MS = 500
"""How long rfctl waits for the last output of a program that has ended."""
MAX_KEPT_BYTES = 8_192
MAX_SHOWN_CHARS = 200

_INPUT, _ERRORS = 0, 2
_PASSED_ON = frozenset({"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR"})


class Command:
    """The sink of type `command`: the program runs once for each message."""

    def __init__(self, name: str, config: CommandConfig) -> None:
        self._name = name
        self._command = tuple(config.command)
        self._timeout_ms = config.timeout_ms
        self._variables = tuple(config.env)
        self._shape, self._raw = config.shape, config.raw

    async def open(self) -> None:
        """Look for the program. Raises SettingsError when it is not there or may not be run."""
        program = self._command[0]
        if shutil.which(program) is None:
            problem = (
                f"sinks.{self._name}.command: the program {visible(program)} is not found, or may not be run"
            )
            raise SettingsError([problem])

    async def deliver(self, delivery: Delivery) -> None:
        """Return after exit 0. Raises DeliveryError for any other end, a final one after exit 65."""
        program = await self._start(delivery)
        try:
            async with asyncio.timeout(self._timeout_ms / 1000):
                await program.run(encode_line(delivery, self._shape, raw=self._raw))
        except TimeoutError:
            limit = duration(self._timeout_ms)
            raise DeliveryError(f"the program was not done within {limit}{program.last_words()}") from None
        finally:
            await program.end()
        _judge(program.status, program.last_words())

    async def close(self) -> None:
        """Do nothing: no program runs between deliveries."""

    async def _start(self, delivery: Delivery) -> _Program:
        # A start that is cancelled half-way would leave the program's children and its pipes: it is finished first.
        starting = asyncio.create_task(self._spawn(delivery))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            while not starting.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait([starting])
            if not starting.cancelled() and starting.exception() is None:
                await starting.result().end()
            raise

    async def _spawn(self, delivery: Delivery) -> _Program:
        loop = asyncio.get_running_loop()
        try:
            _, program = await loop.subprocess_exec(
                _Program, *self._command, stdout=asyncio.subprocess.DEVNULL,
                start_new_session=True, env=dict(_environment(delivery, self._variables)),
            )  # fmt: skip
        except OSError as problem:
            fact = f"the program {visible(self._command[0])} cannot be started: {problem.strerror}"
            raise DeliveryError(fact) from None
        return program


class _Program(asyncio.SubprocessProtocol):
    """One run of the program.

    asyncio's own Process is not used: on Python 3.11 its wait() ends only when nobody holds the pipes any more,
    and a grandchild may hold them for ever.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._exited = loop.create_future()
        self._silent = loop.create_future()
        self._words = b""
        self._transport: asyncio.SubprocessTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002 - asyncio's signature
        self._words = (self._words + data)[-MAX_KEPT_BYTES:]

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002
        if fd == _ERRORS and not self._silent.done():
            self._silent.set_result(None)

    def process_exited(self) -> None:
        if not self._exited.done():
            self._exited.set_result(None)

    @property
    def status(self) -> int:
        """Its exit status, or minus the signal that ended it."""
        return self._transport.get_returncode() or 0

    def last_words(self) -> str:
        """Return the last line that it wrote to its standard error, fit to be shown after a fact, or ""."""
        lines = self._words.decode(errors="replace").rstrip().splitlines()
        return ": " + visible(lines[-1].strip()[:MAX_SHOWN_CHARS])[:MAX_SHOWN_CHARS] if lines else ""

    async def run(self, payload: bytes) -> None:
        """Write its input and wait until it has exited; one that does not read is judged by its exit alone."""
        standard_input: asyncio.WriteTransport = self._transport.get_pipe_transport(_INPUT)  # type: ignore[assignment]
        standard_input.write(payload)
        standard_input.write_eof()
        await asyncio.shield(self._exited)

    async def end(self) -> None:
        """End what is left of its process group: asked first, forced after 2 s, also when cancelled meanwhile."""
        try:
            if not self._exited.done():
                self._signal(signal.SIGTERM)
                await asyncio.wait([self._exited], timeout=GRACE_MS / 1000)
        finally:
            self._signal(signal.SIGKILL)
            await asyncio.wait([self._exited], timeout=GRACE_MS / 1000)
            await asyncio.wait([self._silent], timeout=LAST_WORDS_MS / 1000)
            self._transport.close()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._transport.get_pid(), number)


def _judge(status: int, last_words: str) -> None:
    if status == 0:
        return
    if status < 0:
        raise DeliveryError(f"the program was ended by {_signal_name(-status)}{last_words}")
    raise DeliveryError(f"exit status {status}{last_words}", final=status == UNDELIVERABLE_STATUS)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _environment(delivery: Delivery, more: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the program's variables: what every program needs, and what the operator names. Ours hold passwords."""
    for name, value in os.environ.items():
        if name in _PASSED_ON or name.startswith("LC_") or name in more:
            yield name, value
    yield "MESSAGE_ID", delivery.id
    yield "MESSAGE_ATTEMPT", str(delivery.attempt)
