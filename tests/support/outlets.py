"""Each type of sink with a place to look at what it has delivered: what the contract suite runs on."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rfctl.assembly.sinks import build_target
from rfctl.model.delivery import Delivery
from rfctl.section import build_section
from rfctl.sinks.config import SinkConfig
from rfctl.sinks.contract import DeliveryError, Sink
from rfctl.sinks.redis import RedisSink
from rfctl.sinks.registry import SPECS
from rfctl.store.connection import Connection
from tests.support.receivers import HttpReceiver

Payloads = list[dict[str, Any]]
COMMAND = "import sys; open(sys.argv[1], 'ab').write(sys.stdin.buffer.read())"
KINDS = ("list", "stream", "http", "command", "stdout", "bullmq", "celery", "rq")
IN_THE_SAME_REDIS = ("list", "stream")
"""Writing and acknowledging are one step there: only a key of another kind can make it fail."""
ONCE = ("list", "stream", "bullmq", "rq")
"""A repeat with the same id changes nothing there; elsewhere the receiver sees it again, under the same id."""


@dataclass
class Outlet:
    """A sink and its deliveries, oldest first, as the payloads that its receiver sees."""

    kind: str
    sink: Sink | RedisSink
    taken: Callable[[], Awaitable[Payloads]]


class Stubborn:
    """A sink that fails for each phone as often as `failures` says, and then delivers to the inner sink."""

    def __init__(self, inner: Sink) -> None:
        self.inner = inner
        self.failures: dict[str, int] = {}
        self.attempts: list[tuple[str, int]] = []

    async def open(self) -> None:
        await self.inner.open()

    async def close(self) -> None:
        await self.inner.close()

    async def deliver(self, delivery: Delivery) -> None:
        phone = delivery.merged.phone
        self.attempts.append((phone, delivery.attempt))
        if self.failures.get(phone, 0) > 0:
            self.failures[phone] -= 1
            raise DeliveryError(f"no, not {phone}")
        await self.inner.deliver(delivery)


@dataclass
class FailingOutlet:
    """An outlet whose sink can be made to fail."""

    sink: Stubborn
    taken: Callable[[], Awaitable[Payloads]]


def settings(kind: str, **more: Any) -> SinkConfig:
    own: dict[str, dict[str, Any]] = {
        "list": {"key": "inbox"},
        "stream": {"key": "copy"},
        "http": {"allow_private": True, "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]},
        "bullmq": {"queue": "company-{company}-messages"},
        "celery": {"task": "bot.handle"},
        "rq": {"task": "bot.handle"},
    }
    return build_section(SPECS[kind].config, {"type": kind, **own.get(kind, {}), **more}, "sinks.bot")


async def of_list(connection: Connection) -> Payloads:
    return [json.loads(payload) for payload in await connection.call("LRANGE", "inbox", 0, -1)]


async def of_stream(connection: Connection) -> Payloads:
    payloads = []
    for _, flat in await connection.call("XRANGE", "copy", "-", "+"):
        got = {flat[i].decode(): flat[i + 1].decode() for i in range(0, len(flat), 2)}
        payloads.append({"messageId": got["id"], "from": got["phone"], "message": got["text"]})
    return payloads


async def of_bullmq(connection: Connection) -> Payloads:
    names = await connection.call("LRANGE", "bull:company-none-messages:wait", 0, -1)
    return [
        json.loads(await connection.call("HGET", b"bull:company-none-messages:" + name, "data"))
        for name in reversed(names)
    ]


async def of_celery(connection: Connection) -> Payloads:
    import base64

    raw = reversed(await connection.call("LRANGE", "celery", 0, -1))
    return [json.loads(base64.b64decode(json.loads(task)["body"]))[0][0] for task in raw]


async def of_rq(connection: Connection) -> Payloads:
    from redis import Redis
    from rq.job import Job

    ids = await connection.call("LRANGE", "rq:queue:default", 0, -1)
    client = Redis.from_url(connection.address.url)
    try:
        return [Job.fetch(id_.decode(), connection=client).args[0] for id_ in ids]
    finally:
        client.close()


@contextlib.asynccontextmanager
async def outlet(
    kind: str, connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Outlet]:
    """A sink of this kind, made from settings as the daemon makes it, and ready."""
    async with contextlib.AsyncExitStack() as opened:
        more: dict[str, Any] = {}
        in_redis = {
            "list": of_list, "stream": of_stream, "bullmq": of_bullmq, "celery": of_celery, "rq": of_rq,
        }  # fmt: skip

        async def taken() -> Payloads:
            if kind in in_redis:
                return await in_redis[kind](connection)
            if kind == "http":
                return [request["body"] for request in receiver.taken]
            if kind == "stdout":
                written_bytes = written.buffer.getvalue()
            else:
                written_bytes = file.read_bytes() if file.exists() else b""
            whole_lines, _, _ = written_bytes.rpartition(b"\n")  # a program may be at the last one
            return [json.loads(line) for line in whole_lines.splitlines()]

        written, file = io.TextIOWrapper(io.BytesIO()), tmp_path / "taken.jsonl"
        if kind == "http":
            receiver = await opened.enter_async_context(HttpReceiver())
            more["url"] = receiver.url
        elif kind == "command":
            more["command"] = [sys.executable, "-c", COMMAND, str(file)]
        elif kind == "stdout":
            monkeypatch.setattr("rfctl.sinks.stdout.sink.sys", SimpleNamespace(stdout=written))
        url = connection.address.url
        sink = build_target("bot", settings(kind, **more), redis_url=url).sink
        if not isinstance(sink, RedisSink):
            sink = Stubborn(sink)
            await sink.open()
            opened.push_async_callback(sink.close)
        yield Outlet(kind, sink, taken)
