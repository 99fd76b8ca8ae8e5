"""The limit of Redis itself: the scripts of rfctl, sent through one raw connection without waiting for each answer.

The commands are those that rfctl sends: `Store` and `Batcher` send them through a relay that writes them down.
Only the bounds of the clock are widened, since they would be over by the time that the commands are sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import hiredis

from bench.counted_work import TIMERS
from bench.errors import BenchError
from rfctl.batching import Batcher, BatchingRules, Policy, Timers
from rfctl.model.message import Message
from rfctl.store import BatchOptions, Keyspace, Store
from rfctl.store.address import RedisAddress
from rfctl.store.scripts import ScriptLibrary, list_verbs
from tests.support.relays import Relay
from tests.support.servers import RedisServer

AT_ONCE = 8
EARLIEST, LATEST = b"0", b"9000000000000000"
Command = list[bytes]


class RecordingRelay(Relay):
    """A relay that keeps the bytes which come from the client, by connection."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self._readers: list[hiredis.Reader] = []

    def record(self, place: int, data: bytes) -> None:
        """Keep what came on a connection."""
        self._readers[place].feed(data)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        place = len(self._readers)
        self._readers.append(hiredis.Reader())
        tapped = asyncio.StreamReader()
        tap = asyncio.create_task(self._tap(place, reader, tapped))
        self._pumps.add(tap)
        await super()._serve(tapped, writer)

    async def _tap(self, place: int, reader: asyncio.StreamReader, tapped: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                self.record(place, data)
                tapped.feed_data(data)
        tapped.feed_eof()

    def take_commands(self, verb: str) -> list[Command]:
        """Return the calls of a script so far, and forget them and all others."""
        sha = ScriptLibrary().script(verb).sha.encode()
        commands = [
            widen_bounds(command)
            for reader in self._readers
            for command in _read_all(reader)
            if command[1:2] == [sha]
        ]
        if not commands:
            raise BenchError(f"rfctl sent no call of {verb}")
        return commands


def _read_all(reader: hiredis.Reader) -> list[Command]:
    commands = []
    while (command := reader.gets()) is not False:
        commands.append(command)
    return commands


def widen_bounds(command: Command) -> Command:
    """Return a call of a script that holds at any time: its last two arguments are the bounds of the clock."""
    if not all(bound.isdigit() or not bound for bound in command[-2:]):
        raise BenchError("the last two arguments of a script are not the bounds of the clock")
    return [*command[:-2], EARLIEST, LATEST]


@contextlib.asynccontextmanager
async def recording(
    server: RedisServer, timers: Timers = TIMERS
) -> AsyncIterator[tuple[Batcher, RecordingRelay]]:
    """Give a batcher whose commands are recorded."""
    async with RecordingRelay(server.port) as relay:
        store = Store.open(RedisAddress(relay.url, "bench", timeout_ms=60_000), Keyspace(), BatchOptions())
        try:
            await store.claim_layout()
            yield Batcher(store, BatchingRules(Policy(timers, ()))), relay
        finally:
            await store.close()


async def record_adds(server: RedisServer, messages: int, a_call: int, phones: int) -> list[Command]:
    """Return the calls of `add` that store so many messages, each another one."""
    async with recording(server) as (batcher, relay):
        await batcher.add(
            [_build_message(messages, phones)]
        )  # the first call is sent twice: the script is loaded
        relay.take_commands("add")
        calls = [range(first, min(first + a_call, messages)) for first in range(0, messages, a_call)]
        for place in range(0, len(calls), AT_ONCE):
            page = calls[place : place + AT_ONCE]
            await asyncio.gather(
                *(batcher.add([_build_message(number, phones) for number in numbers]) for numbers in page)
            )
        return relay.take_commands("add")


def _build_message(number: int, phones: int) -> Message:
    return Message(
        phone=f"7900{number % phones:07d}",
        text="запишите меня",
        id=f"m{number}",
        channel="generic",
        company=962302,
    )


@dataclass(slots=True)
class RawConnection:
    """One socket to a Redis: commands go out packed, and answers come in their order."""

    stream: socket.socket
    reader: hiredis.Reader

    @classmethod
    def open(cls, server: RedisServer) -> RawConnection:
        """Connect, and load the scripts."""
        connection = cls(socket.create_connection(("127.0.0.1", server.port)), hiredis.Reader())
        connection.stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        library = ScriptLibrary()
        for verb in list_verbs():
            connection.call([b"SCRIPT", b"LOAD", library.script(verb).text.encode()])
        return connection

    def send(self, packed: bytes) -> None:
        """Send commands, and wait for no answer."""
        self.stream.sendall(packed)

    def receive(self) -> object:
        """Return the next answer. Raises BenchError for an error of Redis."""
        while (reply := self.reader.gets()) is False:
            data = self.stream.recv(262_144)
            if not data:
                raise BenchError("Redis has closed the connection")
            self.reader.feed(data)
        if isinstance(reply, hiredis.ReplyError):
            raise BenchError(f"Redis: {reply}")
        return reply

    def call(self, command: Command) -> object:
        """Send one command, and return its answer."""
        self.send(pack(command))
        return self.receive()

    def close(self) -> None:
        """Close the socket."""
        self.stream.close()


def pack(command: Sequence[bytes]) -> bytes:
    """Return a command as it goes over the wire."""
    parts = [b"*%d\r\n" % len(command)]
    parts += [b"$%d\r\n%b\r\n" % (len(word), word) for word in command]
    return b"".join(parts)


def replay(connection: RawConnection, packed: Sequence[bytes], on_wire: int) -> tuple[float, list[object]]:
    """Send commands with so many on the wire at most. Returns how long that took, s, and the answers."""
    answers: list[object] = []
    began = time.perf_counter()
    half = max(1, on_wire // 2)
    pages = [packed[start : start + half] for start in range(0, len(packed), half)]
    on_the_way = 0
    for page in pages:
        connection.send(b"".join(page))
        on_the_way += len(page)
        while on_the_way > on_wire - half:
            answers.append(connection.receive())
            on_the_way -= 1
    answers += [connection.receive() for _ in range(on_the_way)]
    return time.perf_counter() - began, answers
