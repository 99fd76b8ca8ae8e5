"""A server twice, with the hot path and with the app alone: for the same bytes both must answer, store and count the same."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from structlog.testing import capture_logs

from rfctl.daemon.http_hot import HotProtocol
from rfctl.errors import RedisUnreachableError, ReplyError
from rfctl.ingest import GroupCommit, Receiver, Webhook
from rfctl.ingest.access import Gate
from rfctl.ingest.group_commit import Bounds
from rfctl.model.message import Message, Unparsed
from rfctl.model.stored import Added
from rfctl.sources.answers import Answers
from rfctl.sources.contract import ParseResult, Request, ServedSource, Source
from rfctl.sources.generic.config import GenericConfig
from rfctl.sources.generic.node_form import NodeForm
from rfctl.sources.guarded import Guarded
from tests.support.http_bytes import FakeConnection

BOUNDS = Bounds(call=4, pending=5)
_LONG_S = 60.0
"""Longer than any deadline and patience of the server."""


class StoppedClock(asyncio.SelectorEventLoop):
    """An event loop whose time goes on only when a test says so."""

    now_s = 1000.0

    def time(self) -> float:
        return self.now_s


class WordSource(Source):
    """Each word of a body is a message, but `odd` is unparsed, `echo` is skipped and `crash` is a bug."""

    def verify(self, request: Request, now_ms: int) -> bool:
        return request.header("x-token") == b"good"

    def parse(self, body: bytes) -> ParseResult:
        result = ParseResult()
        for word in body.decode("latin-1").split():
            if word == "crash":
                raise ZeroDivisionError
            if word == "echo":
                result.skip("echo")
            elif word == "odd":
                result.unparsed.append(Unparsed(body, "odd"))
            else:
                result.messages.append(Message(phone="7", text=word, id=word, channel="words"))
        return result


def build_sources() -> dict[str, ServedSource]:
    """Return sources with and without a secret, in words and without."""
    node = NodeForm("generic", GenericConfig(type="generic"), make_id=lambda: "made")
    words = WordSource()
    return {
        "generic": ServedSource("generic", "generic", node, verified=False, in_words=True, json_only=True),
        "words": ServedSource("words", "telegram", words),
        "spoken": ServedSource("spoken", "generic", words, in_words=True),
        "open": ServedSource("open", "generic", words, verified=False, insecure=True),
        "guarded": ServedSource(
            "guarded",
            "generic",
            Guarded(words, answers=Answers(challenge=("challenge",))),
            opens_bodies=True,
            answer="ok",
        ),
        "large": ServedSource("large", "evolution", words, max_body_bytes=70_000),
    }


@dataclass
class FakeStore:
    """A store, a quarantine and counters. The text of a message says what becomes of it; `done` is what was stored."""

    done: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    is_blocked: bool = False
    seen: set[str] = field(default_factory=set)

    async def store_messages(self, messages: Sequence[Message]) -> list[Added]:
        texts = [message.text for message in messages]
        if "slow" in texts:
            self.is_blocked = True
            await self.gate.wait()
            self.is_blocked = False
        if "away" in texts:
            raise RedisUnreachableError("nobody answers")
        if "refused" in texts:
            raise ReplyError("no", code="ERR")
        if "bug" in texts:
            raise ZeroDivisionError
        return [self._store(message) for message in messages]

    def _store(self, message: Message) -> Added:
        rejected = "the key is taken" if message.text == "taken" else ""
        is_new = message.id not in self.seen
        self.seen.add(message.id)
        trace = f" of {message.traceparent}" if message.traceparent else ""
        self.done.append(f"{message.phone} {message.text}{trace}")
        return Added(message.phone, added=is_new, size=1, due_in_ms=5, rejected=rejected)

    async def add_unparsed(self, _source: str, _type: str, unparsed: Sequence[Unparsed]) -> None:
        if any(b"full" in part.body for part in unparsed):
            raise ReplyError("quarantine is full", code="OOM")
        self.done += [f"unparsed {part.body!r}" for part in unparsed]

    def count(self, counts: Mapping[str, int]) -> None:
        for name, by in counts.items():
            self.counts[name] = self.counts.get(name, 0) + by

    def mark(self, name: str) -> None:
        self.count({name: 1})


class _Quarantine:
    def __init__(self, store: FakeStore) -> None:
        self.add = store.add_unparsed


class _Counters:
    def __init__(self, store: FakeStore) -> None:
        self.add, self.mark = store.count, store.mark


class Way:
    """One connection of a server with these bounds; with `is_hot` plain messages go past the app."""

    def __init__(self, *, is_hot: bool, peer: str = "127.0.0.1", **bounds: Any) -> None:
        self.store = FakeStore()
        self.due: list[int] = []
        commit = GroupCommit(self.store.store_messages, BOUNDS)
        quarantine: Any = _Quarantine(self.store)
        counters: Any = _Counters(self.store)
        self.receiver = Receiver(
            build_sources(), commit, quarantine, counters,
            gate=Gate("", frozenset({"bot.internal"})), on_due=self.due.append, now_ms=lambda: 0, **bounds,
        )  # fmt: skip
        app = Webhook(self.receiver, quarantine, lambda: ("", {})).create_app()
        record = self.receiver.rejections.record
        self.connection = FakeConnection(
            app, on_reject=record, receiver=self.receiver if is_hot else None, peer=peer
        )
        assert isinstance(self.connection.protocol, HotProtocol) == is_hot

    async def settle(self) -> None:
        """Let the server run until it waits for its client, or at the store's gate."""
        while True:
            for _ in range(40):
                await asyncio.sleep(0)
            if not self.receiver.group_commit._waiting or self.store.is_blocked:
                return
            self._pass_time(0.05)  # the store is away: the server tries again, and gives up in the end

    def _pass_time(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, StoppedClock)
        loop.now_s += seconds

    async def read(self, data: bytes) -> bytes:
        """Let the server read these bytes as far as it wants any, and return the rest."""
        size = -1
        while data and size:
            size = self.connection.read(data)
            data = data[size:]
            await self.settle()
        return data

    async def play(self, reads: Sequence[bytes], ending: str) -> dict[str, Any]:
        """Read, end in this way, and return everything that can be seen of it."""
        with capture_logs() as lines:
            rest = b""
            for read in reads:
                rest = await self.read(rest + read)
            self._begin_to_end(ending)
            await self.settle()
            self.store.gate.set()
            await self.settle()
            await self.read(rest)
            if ending == "stop":  # as the server does when its time to answer is over
                for task in list(self.connection.state.tasks):
                    task.cancel()
                await self.settle()
            transport = self.connection.transport
            seen = {
                "sent": bytes(transport.sent), "closing": transport.closing, "aborted": transport.aborted,
                "ended": transport.ended,
            }  # fmt: skip
            self.connection.end()
            await self.settle()
        store, lines = self.store, [line for line in lines if line.pop("exc_info", 1)]
        return seen | {
            "done": store.done, "counts": store.counts, "due": self.due, "lines": lines, "invalid_traces": self.receiver.invalid_traces,
            "room": self.receiver.budget.used_bytes,
        }  # fmt: skip

    def _begin_to_end(self, ending: str) -> None:
        protocol = self.connection.protocol
        if ending == "stop":
            protocol.shutdown()
        elif ending == "late":
            self._pass_time(_LONG_S)
        elif ending == "left":
            self.connection.transport.abort()
