"""`tail` outlives Redis: what was handed over while it could not be heard is shown afterwards, and nothing twice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

from rfctl.errors import CredentialsRefusedError, RfctlError
from rfctl.model.message import Message
from rfctl.observe import BatchHandedOver, Event, follow_through
from rfctl.store import RedisAddress, Store, batch_key_of
from rfctl.store.connection import Connection
from tests.support.batching import Rig, make_rig
from tests.support.servers import RedisServer, ServerMaker
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
            is_out = isinstance(event, BatchHandedOver)
            self.lines.append(f"<{event.text}" if is_out else f">{event.message.text}")  # type: ignore[union-attr]

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])
        await self._events.aclose()


async def hand_over(rig: Rig, text: str) -> None:
    await rig.add([Message(phone="7", text=text, id=text, channel="generic")])
    assert await rig.batches.flush(batch_key_of("7"))


@contextlib.asynccontextmanager
async def opened(server: RedisServer) -> AsyncIterator[Rig]:
    connection = Connection.open(RedisAddress(server.url, "the test"))
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
