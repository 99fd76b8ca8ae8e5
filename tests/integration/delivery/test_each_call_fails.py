"""Every call to Redis fails once, in turn: before it was sent, or after it was carried out. Nothing may come of it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest

from rfctl.delivery import RetryPolicy
from rfctl.errors import RedisUnreachableError
from rfctl.model.delivery import Delivery
from rfctl.sinks.contract import DeliveryError
from rfctl.sinks.redis import RedisSink
from rfctl.store.connection import Connection
from rfctl.store.dead_letters import DeadLetters
from rfctl.store.output_stream import OutputStream
from rfctl.store.paused_sinks import PausedSinks
from tests.support.forwarding import Running, deliveries, hand_over, left, settled
from tests.support.keys import SHARD
from tests.support.waiting import until

POLICY = RetryPolicy(retry_delays_ms=(5,), concurrency=2, max_sleep_ms=10, lease_ms=60_000, finish_ms=2000)
MESSAGES = [
    ("a", "a1"),
    ("b", "b1"),
    ("a", "a2"),
    ("d", "d1"),
    ("c", "c1"),
    ("a", "a3"),
    ("e", "e1"),
    ("c", "c2"),
]


class Cut(Connection):
    """Fails its call number `fails_at`, from 1; `is_applied` says whether Redis has carried it out."""

    fails_at = 0
    is_applied = False
    calls_so_far = 0

    async def call(self, *command: bytes | str | float, is_optional: bool = False) -> Any:
        return await self._count(lambda: super(Cut, self).call(*command, is_optional=is_optional))

    async def calls(
        self, commands: Sequence[Any], *, short: bool = False, is_optional: bool = False
    ) -> list[Any]:
        answers: list[Any] = await self._count(
            lambda: super(Cut, self).calls(commands, short=short, is_optional=is_optional)
        )
        return answers

    async def run(self, *about: Any) -> Any:
        return await self._count(lambda: super(Cut, self).run(*about))

    async def _count(self, send: Callable[[], Awaitable[Any]]) -> Any:
        self.calls_so_far += 1
        if self.calls_so_far != self.fails_at:
            return await send()
        if self.is_applied:
            await send()
        raise RedisUnreachableError("cut")

    @property
    def has_failed(self) -> bool:
        return self.calls_so_far >= self.fails_at


class Fickle:
    """Refuses `d1` once, and `c1` until it `heals`; wants nothing any more at the first `e1`, until it is resumed."""

    def __init__(self) -> None:
        self.ids: dict[str, list[str]] = defaultdict(list)
        self.order: list[str] = []
        self.refused: set[str] = set()
        self.heals = False

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def deliver(self, delivery: Delivery) -> None:
        text = delivery.merged.text
        if text in {"d1", "e1"} and text not in self.refused:
            self.refused.add(text)
            raise DeliveryError("not now", pause=text == "e1")
        if text == "c1" and not self.heals:
            raise DeliveryError("never")
        self.ids[text].append(delivery.id)
        self.order.append(text)

    def first(self, phone: str) -> list[str]:
        """The messages of a phone, in the order in which each came first."""
        return list(dict.fromkeys(text for text in self.order if text.startswith(phone)))


@pytest.fixture
async def cut(connection: Connection) -> AsyncIterator[Cut]:
    opened = Cut.open(connection.address)
    assert isinstance(opened, Cut)
    yield opened
    await opened.close()


async def prepare(connection: Connection) -> list[str]:
    """Two of the messages were read by a daemon that is gone. Returns the ids by which receivers know all of them."""
    await connection.call("FLUSHALL")
    await hand_over(connection, *MESSAGES)
    queue = deliveries(connection)
    await queue.open()
    await queue.lease("gone", 60_000)
    entries = await queue.read_new(2, 1, "gone")
    await queue.lease("gone", 0)
    return [entry.delivery_id for entry in entries or []]


async def insist(call: Callable[[], Awaitable[Any]]) -> Any:
    """Do what an operator does: the command again."""
    try:
        return await call()
    except RedisUnreachableError:
        return await call()


async def serve(connection: Connection, cut: Cut) -> Fickle:
    """Deliver, resume after the pause, bury, send the dead letter again, and trim."""
    sink = Fickle()
    running = Running(cut, sink, POLICY, "daemon")
    await until(lambda: _is_paused(connection))
    await until(lambda: _is_settled_once_resumed(connection))
    letters = DeadLetters(cut, [SHARD])
    [letter] = await insist(lambda: letters.list_newest())
    assert letter.entry.merged.text == "c1"
    sink.heals = True
    await insist(lambda: letters.retry(letter))
    await until(lambda: _is_delivered(connection, sink, "c1"))
    await insist(
        lambda: OutputStream(cut, [SHARD]).trim(retention_s=0, retention_entries=0, groups=["rfctl:bot"])
    )
    await running.stop()
    return sink


async def _is_paused(connection: Connection) -> bool:
    return "bot" in await PausedSinks(connection, SHARD).list()


async def _is_settled_once_resumed(connection: Connection) -> bool:
    """An operator looks again: a pause whose answer was lost is stored once more."""
    await PausedSinks(connection, SHARD).resume("bot")
    return await settled(connection)


async def _is_delivered(connection: Connection, sink: Fickle, text: str) -> bool:
    return text in sink.ids and await settled(connection)


async def _has_all(connection: Connection) -> bool:
    return await connection.call("LLEN", "inbox") >= len(MESSAGES) and await settled(connection)


@pytest.mark.parametrize("is_applied", [False, True], ids=["lost", "applied"])
async def test_no_failing_call_loses_delays_for_good_or_reorders_a_message(
    connection: Connection, cut: Cut, is_applied: bool
) -> None:
    cut.is_applied = is_applied
    while True:
        cut.fails_at, cut.calls_so_far = cut.fails_at + 1, 0
        await prepare(connection)
        sink = await serve(connection, cut)
        assert set(sink.ids) == {text for _, text in MESSAGES}, cut.fails_at
        assert all(len(set(ids)) == 1 for ids in sink.ids.values()), "under one id"
        assert sum(map(len, sink.ids.values())) <= len(MESSAGES) + POLICY.concurrency, cut.fails_at
        assert sink.first("a") == ["a1", "a2", "a3"], cut.fails_at
        assert await left(connection) == (0, 0, 0, 0, 0), cut.fails_at
        assert await DeadLetters(connection, [SHARD]).count() == 0
        if not cut.has_failed:
            break
    assert cut.fails_at > 30, "it ends when there was no call that could fail any more"


@pytest.mark.parametrize("is_applied", [False, True], ids=["lost", "applied"])
async def test_list_has_each_message_once_whichever_call_fails(
    connection: Connection, cut: Cut, is_applied: bool
) -> None:
    cut.is_applied = is_applied
    while True:
        cut.fails_at, cut.calls_so_far = cut.fails_at + 1, 0
        await prepare(connection)
        running = Running(cut, RedisSink("list", "inbox"), POLICY, "daemon")
        await until(lambda: _has_all(connection))
        await running.stop()
        texts = [json.loads(raw)["message"] for raw in await connection.call("LRANGE", "inbox", 0, -1)]
        assert sorted(texts) == sorted(text for _, text in MESSAGES), cut.fails_at
        assert [text for text in texts if text.startswith("a")] == ["a1", "a2", "a3"], cut.fails_at
        if not cut.has_failed:
            break
    assert cut.fails_at > 10
