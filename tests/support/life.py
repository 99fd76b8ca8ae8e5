"""What a daemon does with its Redis, in one process and with short waits: intake, scheduler, forwarder, operator.

Each of these parts has a connection of its own, so that a test can let the calls of one part fail. The verdict is at the
end: nothing lost, nothing doubled, in order, and deliveries go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal, TypeVar

from rfctl.batching import Scheduler
from rfctl.delivery import RetryPolicy
from rfctl.delivery.forwarder import Forwarder
from rfctl.errors import RfctlError
from rfctl.ingest.group_commit import Bounds, GroupCommit
from rfctl.model.delivery import Delivery
from rfctl.model.message import Message
from rfctl.model.stored import Merged
from rfctl.sinks.contract import DeliveryError
from rfctl.sinks.redis import RedisSink
from rfctl.store import DeliveryQueue, Store, group_name, replies
from rfctl.store.address import RedisAddress
from rfctl.store.connection import Connection
from tests.support.batching import Rig, make_rig
from tests.support.failing import LATE_S, FailingConnection, FaultPlan
from tests.support.failing_worker import GROUP, FailingWorker, ScriptedHandler
from tests.support.waiting import PATIENCE_S, come_to_an_end, until

SINK = "bot"
ANNA, BORIS = "79000000001", "79000000002"
SinkKind = Literal["receiver", "list", "stream", "workers"]
"""What takes the merged messages: a sink, or workers that use the library."""
POLICY = RetryPolicy(retry_delays_ms=(20,) * 6, concurrency=4, max_sleep_ms=40, lease_ms=5000, finish_ms=1000)
SHORT_LEASE_MS = int(LATE_S * 1000 * 2 / 3)
PARTS = ("intake", "scheduler", "forwarder", "operator", "test")
"""The last is the test's own, and never armed."""
_AGAIN_S = 0.005
_BOUNDS = Bounds(timeout_s=PATIENCE_S, retry_delay_s=_AGAIN_S)
T = TypeVar("T")


async def call_until_answered(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat a call as a provider or an operator does, until it is answered."""
    while True:
        try:
            return await call()
        except RfctlError:
            await asyncio.sleep(_AGAIN_S)


async def have_come(life: Life, *texts: str) -> None:
    """Wait until all of these are delivered."""

    async def are_there() -> bool:
        return set(texts) <= {text for _, text in await life.read_deliveries()}

    await until(are_there)


class ScriptedReceiver:
    """A sink outside of Redis. `answers` has what it says to a text, in turn; then, and otherwise, it takes it."""

    def __init__(self) -> None:
        self.answers: dict[str, list[DeliveryError]] = {}
        self.taken: list[Delivery] = []

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def deliver(self, delivery: Delivery) -> None:
        for text in delivery.merged.text.split():
            if self.answers.get(text):
                raise self.answers[text].pop(0)
        self.taken.append(delivery)


class Life:
    """One empty Redis database, the parts of a daemon on it, and all that went in."""

    def __init__(self, address: RedisAddress, plan: FaultPlan, kind: SinkKind) -> None:
        self.plan, self.kind, self.policy = plan, kind, POLICY
        self.receiver, self.handler = ScriptedReceiver(), ScriptedHandler()
        self.sent: dict[str, list[str]] = defaultdict(list)
        """Of each phone the texts that were accepted, in their order."""
        self._sinks = [] if kind == "workers" else [SINK]
        self.url = address.url
        self._rigs = {part: self._make_rig(address, part) for part in PARTS}
        self._intake = GroupCommit(self._rigs["intake"].batcher.add, _BOUNDS)
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._workers: dict[FailingWorker, asyncio.Task[None]] = {}
        self.scheduler = Scheduler(self._rigs["scheduler"].batcher, max_sleep_ms=40)

    def _make_rig(self, address: RedisAddress, part: str) -> Rig:
        connection = FailingConnection.open_part(address, part, self.plan)
        return make_rig(connection, quiet_ms=1, max_size=2)

    # --- the parts

    def store(self, part: str = "test") -> Store:
        return self._rigs[part].store

    @property
    def connection(self) -> Connection:
        """The test's own, whose calls never fail."""
        return self._rigs["test"].connection

    def queue(self, part: str = "test") -> DeliveryQueue:
        return self.store(part).deliveries(SINK)

    async def empty(self) -> None:
        call = self.connection.call
        await call("FLUSHDB")
        if self.kind == "workers":
            await call("SET", "rfctl:shards", "0/2")  # as the first daemon has written it

    async def send(self, phone: str, *texts: str, alias: str = "", is_hidden: bool = False) -> None:
        """Bring messages, one after another, again and again until each is accepted. Its text is its id.

        `alias` is a second id of the person; with `is_hidden` it stands alone.
        """
        for text in texts:
            name = alias if is_hidden else phone
            message = Message(phone=name, text=text, id=text, channel="generic", alias=alias)
            [added] = await call_until_answered(partial(self._intake.add, [message]))
            assert not added.rejected
            self.sent[phone].append(text)

    async def hand_over(self, phone: str, *texts: str) -> None:
        """Put a merged message of each text into the output stream, past the scheduler."""
        rig = self._rigs["test"]
        for text in texts:
            await self.send(phone, text)
            await until(lambda: rig.drain("flush"))

    def start_scheduler(self) -> None:
        self._start(self.scheduler.run(self._stopping))

    def start_forwarder(self, daemon_id: str = "daemon") -> None:
        assert self.kind != "workers"
        sink = self.receiver if self.kind == "receiver" else RedisSink(self.kind, "inbox")
        is_late = self.plan.mode == "late"
        policy = replace(self.policy, lease_ms=SHORT_LEASE_MS) if is_late else self.policy
        self._start(Forwarder(self.queue("forwarder"), sink, policy, daemon_id).run(self._stopping))

    def start_worker(self, **options: Any) -> FailingWorker:
        worker = FailingWorker.make(self.url, self.plan, **options)
        self._workers[worker] = self._start(worker.run(self.handler))
        return worker

    def has_ended(self, worker: FailingWorker) -> bool:
        return self._workers[worker].done()

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        self._tasks.append(asyncio.create_task(work))
        return self._tasks[-1]

    async def stop(self) -> None:
        self.plan.arm()
        self._stopping.set()
        self.scheduler.wake()
        for worker in self._workers:
            worker.stop()
        try:
            await come_to_an_end(*self._tasks)
        finally:
            for rig in self._rigs.values():
                await rig.connection.close()

    # --- what came of it

    async def describe(self) -> str:
        """Return what there is, for a verdict that fails."""
        store = self.store()
        waits = [(await store.people.find_whereabouts(phone, self._sinks)).undelivered for phone in self.sent]
        groups = await store.output.groups(store.shards[0])
        return (
            f"sent {dict(self.sent)}, stream {await self.read_entries()}, sink {await self.read_deliveries()}, "
            f"dead {await self.read_dead()}, groups {groups}, waiting {waits}, begun {self.handler.begun}, "
            f"workers have {await self._read_worker_keys()}"
        )

    async def read_entries(self) -> list[str]:
        """Return the texts in the output stream, oldest first."""
        return [text for merged in await self._rigs["test"].collect() for text in merged.text.split()]

    async def read_deliveries(self) -> list[tuple[str, str]]:
        """Return phone and text of each message that the sink has, each delivery id once, where it came first.

        Of workers it is each time that one was handled: they remember what was.
        """
        call = self.connection.call
        if self.kind == "receiver":
            first: dict[str, Merged] = {}
            for delivery in self.receiver.taken:
                first.setdefault(delivery.id, delivery.merged)
            rows = [(merged.phone, merged.text) for merged in first.values()]
        elif self.kind == "workers":
            rows = [(message.phone, message.text) for message in self.handler.taken]
        elif self.kind == "list":
            payloads = [json.loads(raw) for raw in await call("LRANGE", "inbox", 0, -1)]
            rows = [(payload["from"], payload["message"]) for payload in payloads]
        else:
            entries = replies.stream_entries(await call("XRANGE", "inbox", "-", "+"))
            fields = [replies.fields(flat) for _, flat in entries]
            rows = [(replies.text(got["phone"]), replies.text(got["text"])) for got in fields]
        return [(phone, text) for phone, texts in rows for text in texts.split()]

    async def read_dead(self) -> list[str]:
        """Return the texts of the dead letters."""
        letters = await self.store().dead_letters.list_newest()
        flat = [replies.fields(letter.entry.fields or []) for letter in letters]
        return [replies.text(fields["text"]) for fields in flat]

    async def read_settled(self) -> bool:
        """Return whether nothing is on its way: all read and acknowledged, nothing waits."""
        store = self.store()
        groups = await store.output.groups(store.shards[0])
        name = GROUP if self.kind == "workers" else group_name(SINK)
        mine = [group for group in groups if group.name == name]
        waits = [(await store.people.find_whereabouts(phone, self._sinks)).undelivered for phone in self.sent]
        has_left = any(group.lag or group.pending for group in mine) or await self._read_worker_keys()
        return bool(mine) and not has_left and not any(waits)

    async def _read_worker_keys(self) -> list[str]:
        """Return the keys in which the workers still have a message: its place, its failures, or itself again."""
        keys = self.store().shards[0].worker(GROUP)
        call = self.connection.call
        candidates = [keys.order, keys.failures, keys.again_order, keys.again_failures]
        present = [key for key in candidates if await call("EXISTS", key)]
        return present + [keys.again] * bool(await call("XLEN", keys.again))

    async def check(self, dead: Sequence[str] = (), *, trimmed: bool = False) -> None:
        """Let one more message of each phone come through. Then everything is there, once, in order, and settled."""
        self.plan.arm()
        for phone in dict.fromkeys((*self.sent, BORIS)):
            await self.send(phone, f"later-{phone}")
        wanted = sorted(
            (phone, text) for phone, texts in self.sent.items() for text in texts if text not in dead
        )
        await until(lambda: self._has_come(wanted))
        await until(self.read_settled)
        if not trimmed:
            everything = sorted(text for texts in self.sent.values() for text in texts)
            assert sorted(await self.read_entries()) == everything, "the output stream"
        assert sorted(await self.read_dead()) == sorted(dead), "the dead letters"
        came: dict[str, list[str]] = defaultdict(list)
        for phone, text in await self.read_deliveries():
            came[phone].append(text)
        alive = {phone: [text for text in texts if text not in dead] for phone, texts in self.sent.items()}
        assert came == {phone: texts for phone, texts in alive.items() if texts}, "the deliveries"

    async def _has_come(self, wanted: list[tuple[str, str]]) -> bool:
        return set(wanted) <= set(await self.read_deliveries())


@contextlib.asynccontextmanager
async def living(address: RedisAddress, plan: FaultPlan, kind: SinkKind) -> AsyncIterator[Life]:
    """Give an empty database a life; every part of it has ended at the end."""
    patience_ms = int(PATIENCE_S * 1000)  # a busy machine lets no call fail besides the plan's
    patient = replace(address, connect_timeout_ms=patience_ms, timeout_ms=patience_ms)
    life = Life(patient, plan, kind)
    try:
        await life.empty()
        yield life
    finally:
        await life.stop()
