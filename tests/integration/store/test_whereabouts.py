"""Every place where something of a phone is, on one shard and on several."""

from __future__ import annotations

import pytest

from rfctl.model.message import Message
from rfctl.store import DeliveryQueue, Store
from rfctl.store.batch_keys import batch_key_of
from rfctl.store.connection import Connection
from rfctl.store.keys import Keyspace
from tests.support.batching import make_rig

PHONE = "+7 900 (123)"


@pytest.fixture(params=[0, 3])
def store(request: pytest.FixtureRequest, connection: Connection) -> Store:
    return Store(connection, Keyspace(request.param))


async def leave(
    connection: Connection, store: Store, text: str, phone: str = PHONE, company: str = ""
) -> str:
    """One merged message in the output stream of its shard; returns its entry's id."""
    key = batch_key_of(phone, company=company)
    shard = store.shards[Keyspace(len(store.shards) if len(store.shards) > 1 else 0).index_of(key)]
    fields = ("phone", phone, "text", text, "batch_key", key, "messages", "[]")
    return str((await connection.call("XADD", shard.out, "*", *fields)).decode())


async def read_all(store: Store, sink: str, limit: int = 100) -> list[tuple[DeliveryQueue, str, str]]:
    """Read everything for a sink; returns its queue, batch key and id of each message."""
    read = []
    for shard in store.shards:
        queue = store.deliveries(sink, shard)
        await queue.open()
        await queue.lease("test", 60_000)
        read += [(queue, entry.batch_key, entry.id) for entry in await queue.read_new(limit, 1, "test") or []]
    return read


async def states(store: Store, phone: str = PHONE) -> set[tuple[str, str, str]]:
    whereabouts = await store.people.find_whereabouts(phone, ["crm", "copy"])
    assert whereabouts.complete
    ids = {message.id for message in whereabouts.undelivered}
    names = {entry_id: place for place, entry_id in enumerate(sorted(ids))}
    return {(message.sink, str(names[message.id]), message.state) for message in whereabouts.undelivered}


async def test_unread_unacknowledged_and_waiting_messages_are_told_apart(
    connection: Connection, store: Store
) -> None:
    for text in ("a", "b", "c"):
        await leave(connection, store, text)
    await leave(connection, store, "other", phone="somebody else")
    for sink in ("crm", "copy"):
        for shard in store.shards:
            await store.deliveries(sink, shard).open()
    assert await states(store) == {(sink, f"{n}", "unread") for sink in ("crm", "copy") for n in range(3)}
    key = batch_key_of(PHONE)
    mine = [
        (queue, entry_id) for queue, batch_key, entry_id in await read_all(store, "crm") if batch_key == key
    ]
    queue = mine[0][0]
    await queue.acknowledge(key, mine[0][1])
    await queue.schedule_retry(key, [mine[1][1]], wait_ms=60_000, error="no")
    await store.paused_sinks.pause("crm", "lunch")
    whereabouts = await store.people.find_whereabouts(PHONE, ["crm"])
    waiting, behind = whereabouts.undelivered
    assert (waiting.state, waiting.attempts, behind.state) == ("waiting", 1, "unacknowledged")
    assert waiting.last is not None
    assert (waiting.last.error, waiting.next_retry_ms is None) == ("no", False)
    assert waiting.paused is not None
    assert waiting.paused.why == "lunch"


async def test_pending_batches_and_dead_letters_of_every_batch_key_are_there(
    connection: Connection, store: Store
) -> None:
    for company in ("", "7", "8"):
        await leave(connection, store, f"of {company}", company=company)
    for queue, _, entry_id in await read_all(store, "crm"):
        entry = await queue.fetch(entry_id)
        if entry.merged.text != "of 8":
            await queue.dead_letter(entry, "no")
    rig = make_rig(connection, len(store.shards) if len(store.shards) > 1 else 0)
    await rig.add([Message(phone=PHONE, text="new", id="1", channel="generic")])
    whereabouts = await store.people.find_whereabouts(PHONE, ["crm"])
    assert whereabouts.batch_keys == (batch_key_of(PHONE),)
    assert sorted(letter.entry.merged.text for letter in whereabouts.dead) == ["of ", "of 7"]
    assert [message.batch_key for message in whereabouts.undelivered] == [batch_key_of(PHONE, company="8")]


async def test_message_that_is_sent_again_is_found_when_the_stream_has_it_no_more(
    connection: Connection, store: Store
) -> None:
    await leave(connection, store, "a", company="7")
    [(queue, batch_key, entry_id)] = await read_all(store, "crm")
    entry = await queue.fetch(entry_id)
    await queue.acknowledge(batch_key, entry_id)
    for shard in store.shards:
        await connection.call("XTRIM", shard.out, "MAXLEN", 0)
    assert (await store.people.find_whereabouts(PHONE, ["crm"])).undelivered == ()
    await queue.requeue(entry)
    [message] = (await store.people.find_whereabouts(PHONE, ["crm"])).undelivered
    assert (message.state, message.batch_key) == ("waiting", batch_key)
