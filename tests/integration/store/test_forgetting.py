"""A person who is forgotten is nowhere in Redis any more, but in what the answer names; nobody else is touched."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rfctl.model.message import Message, Unparsed
from rfctl.store import Forgotten, ShardKeys, StreamEntry
from rfctl.store.connection import Connection
from rfctl.store.sweep import SweepReport
from tests.support.batching import Rig, make_rig
from tests.support.contents import find_traces, read_everything
from tests.support.keys import COMMON

ANNA, BORIS = "79000000001", "79000000002"
SECRET = "Встретимся-у-фонтана"
LID = "123456789@lid"
CHANNELS = ["tg", "generic"]


@pytest.fixture(params=[0, 4])
def rig(request: Any, timed: Connection) -> Rig:
    return make_rig(timed, request.param)


def message(phone: str, number: int, **more: Any) -> Message:
    return Message(phone=phone, text=f"{SECRET} {number}", id=f"{phone} {number}", channel="tg", **more)


async def forget(rig: Rig, phone: str = ANNA, *, with_stream: bool = False) -> Forgotten:
    return await rig.store.people.forgetting(phone, ["crm"], CHANNELS).forget(with_stream=with_stream)


def home(rig: Rig, entry: StreamEntry) -> ShardKeys:
    return next(shard for shard in rig.shards if shard.number == entry.shard)


async def read_leased(rig: Rig, count: int, lease_ms: int = 60_000) -> list[StreamEntry]:
    """Let a daemon read what is handed over, and give the lease back unless it lasts."""
    entries: list[StreamEntry] = []
    for shard in rig.shards:
        queue = rig.store.deliveries("crm", shard)
        await queue.open()
        assert await queue.lease("d", 60_000)
        entries += await queue.read_new(count, 1, "d") or []
        await queue.lease("d", lease_ms)
    return entries


async def spread(rig: Rig, phone: str) -> None:
    """Put something of a person into every place."""
    for number in range(4):
        await rig.add([message(phone, number)])
        await rig.drain()
    dead, again, waits, logged = await read_leased(rig, 4, lease_ms=0)
    queue = rig.store.deliveries("crm", home(rig, dead))
    for entry in (dead, again):
        await queue.dead_letter(entry, f"no {phone}")
    letter = next(
        letter for letter in await rig.store.dead_letters.list_newest() if letter.entry.id == again.id
    )
    assert await rig.store.dead_letters.retry(letter)
    await queue.schedule_retry(phone, [waits.id], wait_ms=600_000, error=f"no {phone}")
    await queue.acknowledge(phone, logged.id)
    await rig.add([message(phone, 5), message(phone, 6, chat="family", alias=f"{phone}{LID}")])
    body = json.dumps({"who": f"+{phone[0]} {phone[1:4]} {phone[4:]}", "says": SECRET}).encode()
    await rig.store.quarantine.add("tg", "telegram", [Unparsed(body, "odd")])
    item = json.dumps({"message": SECRET, "companyId": 1, "metadata": {}, "timestamp": 1})
    await rig.connection.call("RPUSH", f"backup:rapid-fire:{phone}", item)
    await rig.connection.call("HSET", home(rig, dead).set_aside, phone, '{"at_ms":1,"why":"x"}')
    await rig.connection.call("ZADD", rig.shards[-1].phones, 0, f"{phone}\0&{'0' * 32}")
    report = SweepReport(unclaimed=1, phones=[f"backup:rapid-fire:{phone}", "another"])
    await rig.connection.call(
        "HSET", COMMON.sweep, "report", json.dumps({"unclaimed": 1, "phones": report.phones})
    )


async def test_forgotten_person_is_nowhere_but_in_the_stream(rig: Rig) -> None:
    await spread(rig, ANNA)
    [stream] = [shard.out for shard in rig.shards if await rig.connection.call("XLEN", shard.out)]
    assert len(await find_traces(rig.connection, ANNA, SECRET, LID)) >= 12
    done = await forget(rig)
    assert await find_traces(rig.connection, ANNA, SECRET, LID) == {stream}
    assert len(done.in_stream) == 4
    assert done.on_its_way == []
    assert +done.counts == {
        "pending message": 3,
        "undelivered message": 2,
        "dead letter": 1,
        "request in quarantine": 1,
        "entry of the delivery log": 3,
        "second id": 1,
    }
    assert (await rig.store.sweep.read_report()).phones == ["another"]


async def test_forgotten_with_the_stream_is_nowhere_at_all(rig: Rig) -> None:
    await spread(rig, ANNA)
    done = await forget(rig, with_stream=True)
    assert await find_traces(rig.connection, ANNA, SECRET, LID) == set()
    assert done.counts["entry of the output stream"] == 4
    assert done.in_stream == []
    again = await forget(rig, with_stream=True)
    assert again.counts.total() == 0


async def test_nobody_else_is_touched(rig: Rig) -> None:
    await spread(rig, BORIS)
    before = await read_everything(rig.connection)
    await rig.add([message(ANNA, 1)])
    assert (await forget(rig)).counts["pending message"] == 1
    after = await read_everything(rig.connection)
    volatile = ("rfctl:totals", "rfctl:ids", "rfctl:clock", "rfctl:progress")
    changed = {key for key in {*before, *after} if before.get(key) != after.get(key)}
    assert [key for key in changed if not any(name.partition(":")[2] in key for name in volatile)] == []


async def test_message_on_its_way_is_left_and_named(rig: Rig) -> None:
    await rig.add([message(ANNA, 1)])
    await rig.drain()
    [entry] = await read_leased(rig, 1)
    done = await forget(rig, with_stream=True)
    assert [(item.sink, item.id) for item in done.on_its_way] == [("crm", entry.message_id)]
    assert done.in_stream == [entry.message_id]
    queue = rig.store.deliveries("crm", home(rig, entry))
    await queue.schedule_retry(ANNA, [entry.id], wait_ms=0, error="no")
    assert (await forget(rig, with_stream=True)).on_its_way, "its retry is due: the daemon may try it now"
    await queue.schedule_retry(ANNA, [entry.id], wait_ms=600_000, error="no", attempts=1)
    done = await forget(rig, with_stream=True)
    assert done.on_its_way == []
    assert await find_traces(rig.connection, ANNA, SECRET) == set()
    assert (await rig.store.deliveries("crm", home(rig, entry)).find_due(10))[0] == []


async def test_stranger_leaves_nothing_to_forget(rig: Rig) -> None:
    assert (await forget(rig)).counts.total() == 0


async def test_quarantine_that_is_too_long_to_be_looked_through_is_said(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rfctl.store.history.SEARCHED", 2)
    for body in (ANNA, BORIS, BORIS):
        await rig.store.quarantine.add("tg", "telegram", [Unparsed(body.encode(), "unknown")])
    done = await forget(rig)
    assert (done.counts["request in quarantine"], done.complete) == (0, False)
    assert (await forget(rig, BORIS)).complete, "what it removed made the quarantine short enough"
    assert (await forget(rig)).counts["request in quarantine"] == 1
