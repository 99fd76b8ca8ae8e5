"""`tail` outlives Redis: what was handed over while it could not be heard is shown afterwards, and nothing twice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

from rfctl.errors import CredentialsRefusedError, RfctlError
from rfctl.model.message import Message
from rfctl.observe import DeliveryEnded, Event, HoldChanged, MessageDropped, MessageReceived, follow_through
from rfctl.store import Store, batch_key_of
from rfctl.store.connection import Connection
from tests.support.batching import Rig, make_rig
from tests.support.servers import RedisServer, ServerMaker, patient_address
from tests.support.waiting import until


class Watcher:
    """Follows in a task of its own, and keeps what it saw and was told."""

    def __init__(self, store: Store) -> None:
        self.lines: list[str] = []
        self.notes: list[str] = []
        self.subscribed = asyncio.Event()
        self._events: AsyncGenerator[Event] = follow_through(
            store, None, self.subscribed, self._note_outage, lambda: self.notes.append("back")
        )
        self.task = asyncio.create_task(self._follow())

    def _note_outage(self, problem: RfctlError) -> None:
        self.notes.append(f"away: {problem.fact}")

    async def _follow(self) -> None:
        async for event in self._events:
            self.lines.append(describe(event))

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])
        await self._events.aclose()


def describe(event: Event) -> str:
    if isinstance(event, DeliveryEnded):
        return f"={event.sink} {event.outcome}"
    if isinstance(event, MessageDropped):
        return f"x{event.phone} {event.rule}"
    if isinstance(event, HoldChanged):
        return f"{event.phone} {event.event}"
    return f">{event.message.text}" if isinstance(event, MessageReceived) else f"<{event.text}"


async def deliver(rig: Rig) -> None:
    """Let the sink bot take the next message."""
    queue = rig.store.deliveries("bot")
    await queue.open()
    assert await queue.lease("test", 60_000)
    for entry in await queue.read_new(10, 1, "test") or []:
        await queue.acknowledge(entry.batch_key, entry.id)


async def hand_over(rig: Rig, text: str) -> None:
    await rig.add([Message(phone="7", text=text, id=text, channel="generic")])
    assert await rig.batches.flush(batch_key_of("7"))


@contextlib.asynccontextmanager
async def opened(server: RedisServer) -> AsyncIterator[Rig]:
    connection = Connection.open(patient_address(server.url))
    try:
        yield make_rig(connection)
    finally:
        await connection.close()


async def test_watcher_goes_on_after_a_restart_and_shows_what_it_could_not_hear(
    own_server: ServerMaker,
) -> None:
    server = own_server()
    async with opened(server) as rig, opened(server) as other:
        watcher = Watcher(rig.store)
        try:
            await watcher.subscribed.wait()
            await hand_over(other, "before")
            await until(lambda: watcher.lines == [">before", "<before"])
            server.kill()
            await until(lambda: len(watcher.notes) == 1)
            await asyncio.to_thread(server.start)
            await hand_over(other, "meanwhile")
            await until(lambda: watcher.notes[-1] == "back")
            await until(lambda: "<meanwhile" in watcher.lines)
            await hand_over(other, "after")
            await until(lambda: "<after" in watcher.lines)
        finally:
            await watcher.stop()
    assert watcher.lines == [">before", "<before", ">meanwhile", "<meanwhile", ">after", "<after"]
    assert watcher.notes[0].startswith("away: ")


async def test_outcomes_of_a_time_without_redis_are_shown_once_afterwards(own_server: ServerMaker) -> None:
    server = own_server()
    async with opened(server) as rig, opened(server) as other:
        await hand_over(other, "earlier")
        await deliver(other)
        over_ms = await other.store.now_ms()
        await until(lambda: _is_later(other, over_ms))
        watcher = Watcher(rig.store)
        try:
            await watcher.subscribed.wait()
            await hand_over(other, "before")
            await deliver(other)
            await until(lambda: "=bot delivered" in watcher.lines)
            server.kill()
            await until(lambda: len(watcher.notes) == 1)
            await asyncio.to_thread(server.start)
            await hand_over(other, "meanwhile")
            await deliver(other)
            await until(lambda: watcher.notes[-1] == "back")
            await until(lambda: watcher.lines.count("=bot delivered") >= 2)
            await hand_over(other, "after")
            await deliver(other)
            await until(lambda: watcher.lines.count("=bot delivered") >= 3)
        finally:
            await watcher.stop()
    assert watcher.lines.count("=bot delivered") == 3, watcher.lines
    assert [line for line in watcher.lines if "earlier" in line] == [], "it was over before"


async def _is_later(rig: Rig, than_ms: int) -> bool:
    return await rig.store.now_ms() > than_ms


async def test_failure_that_does_not_pass_ends_it(own_server: ServerMaker) -> None:
    server = own_server()
    async with opened(server) as rig:
        watcher = Watcher(rig.store)
        try:
            await watcher.subscribed.wait()
            with server.client() as client:
                client.execute_command("ACL", "SETUSER", "default", "-time")
                client.client_kill_filter(_type="pubsub")
            await until(watcher.task.done)
            assert isinstance(watcher.task.exception(), CredentialsRefusedError)
        finally:
            await watcher.stop()
