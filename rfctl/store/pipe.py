"""A socket to Redis for calls that run often. Its calls are pipelined: none waits for another's answer.

redis-py opens the socket: address, TLS, user, database and timeouts are those of all other calls, and so are the errors.
Then the socket is read and written here. A call through redis-py's pool costs more than all else that is done for a
message: a lock, two timers, a retry loop, and three coroutines for each answer.

Answers come first in, first out. A call whose caller was cancelled keeps its place.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import hiredis
from redis import exceptions as rx
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection, DefaultParser

from rfctl.store.packed import Packed, Word, pack_command
from rfctl.store.reply_errors import CLOSED_BY_SERVER

INTAKE_VERBS = frozenset({"add"})
"""The script of the intake. It has a pipe of its own: what is due does not wait behind a row of messages."""
LOOP_VERBS = frozenset(
    {
        "hand_over",
        "acknowledge",
        "write_and_acknowledge",
        "schedule_retry",
        "dead_letter",
        "lease",
        "defer",
        "ensure_groups",
        "trim",
    }
)
"""The scripts of the loops that run often. Their answers are short: none holds up those behind it."""
Answer = asyncio.Future[Any]
_INCOMPLETE = object()
_CLOSED_BY_US = "the connection was closed"


class Pipe:
    """Sends commands over one socket. It is opened at the first call, and again at the first one after it was lost.

    An answer that does not come within `timeout_s` fails all calls that are on their way.
    """

    def __init__(self, make_connection: Callable[[], AbstractConnection], timeout_s: float) -> None:
        self._make_connection = make_connection
        self._timeout_s = timeout_s
        self._line: _Line | None = None
        self._retired: list[_Line] = []
        self._opening: asyncio.Task[None] | None = None
        self._waiting: list[tuple[bytes, Answer]] = []
        """The calls that wait for a socket."""

    @property
    def is_open(self) -> bool:
        """Whether a call needs no new socket."""
        return self._line is not None and self._line.is_open

    def execute(self, *command: Word | Packed) -> Answer:
        """Send one command. Its answer is as RESP2 has it, or an error of redis-py or the socket."""
        answer: Answer = asyncio.get_running_loop().create_future()
        pack: Callable[[Any], bytes] = pack_command if Packed in map(type, command) else hiredis.pack_command
        packed = pack(command)
        if self._line is not None and self._line.is_open:
            self._line.send(packed, answer)
        else:
            self._waiting.append((packed, answer))
            if self._opening is None:
                self._opening = asyncio.create_task(self._open())
        return answer

    async def _open(self) -> None:
        try:
            line = _Line(await _connect(self._make_connection()), self._timeout_s)
        except Exception as problem:
            self._fail_waiting(problem)
        else:
            self._line = line
            for packed, answer in self._take_waiting():
                line.send(packed, answer)
        finally:
            self._opening = None

    def _take_waiting(self) -> list[tuple[bytes, Answer]]:
        """Take the calls that somebody still waits for."""
        waiting, self._waiting = self._waiting, []
        return [(packed, answer) for packed, answer in waiting if not answer.done()]

    def _fail_waiting(self, problem: Exception) -> None:
        for _, answer in self._take_waiting():
            answer.set_exception(problem)

    def hang_up(self) -> None:
        """Use another socket from the next call on. Calls that are on their way get their answers on this one."""
        line, self._line = self._line, None
        if line is not None:
            line.retire()
            self._retired = [line, *(other for other in self._retired if other.is_open)]

    async def close(self) -> None:
        """Close the socket. Calls that are on their way fail; a later call opens another."""
        if (opening := self._opening) is not None:
            opening.cancel()
            await asyncio.wait({opening})
            self._opening = None  # a task that was cancelled before its first step has done nothing at all
            self._fail_waiting(rx.ConnectionError(_CLOSED_BY_US))
        self.hang_up()
        for line in self._retired:
            await line.close()


async def send_together(commands: Sequence[Sequence[Word]], client: Redis, pipe: Pipe | None) -> list[Any]:
    """Send commands one behind the other, over the pipe or in one write over a socket of the client's pool.

    Returns the answers in their order. Raises the first of them that is an error, and what redis-py raises.
    """
    if pipe is not None:
        calls = [pipe.execute(*command) for command in commands]
        answers = await asyncio.gather(*calls, return_exceptions=True)
    else:
        pipeline = client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        # An error that the pipeline raised itself would have our command, with its phones, before its code.
        answers = list(await pipeline.execute(raise_on_error=False))
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return answers


async def _connect(connection: AbstractConnection) -> asyncio.StreamWriter:
    """Open a connection of redis-py, and take its socket away from it. Raises what redis-py and the socket raise."""
    try:
        await connection.connect()  # type: ignore[no-untyped-call]
        # What a server says by itself, as when it has too many clients, is read here and not taken for an answer.
        await connection.send_command("TIME")
        with contextlib.suppress(
            rx.NoPermissionError
        ):  # an answer too: the queue of a sink may be in another Redis
            await connection.read_response()
    except BaseException:
        await connection.disconnect(nowait=True)
        raise
    reader, writer = connection._reader, connection._writer
    connection._reader = connection._writer = None
    if reader is None or writer is None or reader.at_eof():
        raise rx.ConnectionError(CLOSED_BY_SERVER)
    return writer


class _Line(asyncio.Protocol):
    """One open socket, and the calls that are on their way there."""

    def __init__(self, writer: asyncio.StreamWriter, timeout_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._writer = writer  # it closes the socket when nobody has it
        self._transport = writer.transport
        self._timeout_s = timeout_s
        self._reader = hiredis.Reader(
            protocolError=rx.InvalidResponse,
            replyError=DefaultParser.parse_error,
            notEnoughData=_INCOMPLETE,
        )
        self._calls: deque[tuple[Answer, float]] = deque()
        """The calls without an answer, the oldest first, and until when each waits (time of the loop, s)."""
        self._outbox: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._is_retired = False
        self._lost = self._loop.create_future()
        self._transport.set_protocol(self)

    @property
    def is_open(self) -> bool:
        """Whether a call can be sent. One that is sent in the very moment of a cut fails."""
        return not self._transport.is_closing()

    def send(self, packed: bytes, answer: Answer) -> None:
        """Send a call: at once when none is on its way, else together with all others of this turn of the loop."""
        if not self._calls:
            self._transport.write(packed)
        else:
            if not self._outbox:
                self._loop.call_soon(self._flush)
            self._outbox.append(packed)
        until = self._loop.time() + self._timeout_s
        self._calls.append((answer, until))
        if self._timer is None:
            self._timer = self._loop.call_at(until, self._check_silence)

    def _flush(self) -> None:
        if self.is_open:
            self._transport.write(b"".join(self._outbox))
        self._outbox.clear()

    def data_received(self, data: bytes) -> None:
        """Give each whole answer to its call."""
        self._reader.feed(data)
        try:
            while (answer := self._reader.gets()) is not _INCOMPLETE:
                self._settle(answer)
        except rx.InvalidResponse as problem:
            self._abort(problem)

    def _settle(self, answer: Any) -> None:
        if not self._calls:
            raise rx.InvalidResponse("an answer that nobody asked for")
        call, _ = self._calls.popleft()
        if self._is_retired and not self._calls:
            self._transport.close()
        if call.done():
            return
        if isinstance(answer, Exception):
            call.set_exception(answer)
        else:
            call.set_result(answer)

    def _check_silence(self) -> None:
        """One timer serves all calls: it waits for the oldest."""
        self._timer = None
        if not self._calls:
            return
        until = self._calls[0][1]
        if until <= self._loop.time():
            self._abort(rx.TimeoutError("no answer"))
        else:
            self._timer = self._loop.call_at(until, self._check_silence)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what is on its way: nobody knows what of it Redis has done."""
        self._fail(exc or rx.ConnectionError(CLOSED_BY_SERVER))
        if self._timer is not None:
            self._timer.cancel()
        if not self._lost.done():
            self._lost.set_result(None)

    def _abort(self, problem: Exception) -> None:
        self._transport.abort()
        self._fail(problem)

    def _fail(self, problem: Exception) -> None:
        while self._calls:
            call, _ = self._calls.popleft()
            if not call.done():
                call.set_exception(problem)

    def retire(self) -> None:
        """Close the socket as soon as every call has its answer."""
        self._is_retired = True
        if not self._calls:
            self._transport.close()

    async def close(self) -> None:
        """Close the socket now. Calls that are on their way fail."""
        self._abort(rx.ConnectionError(_CLOSED_BY_US))
        await self._lost
