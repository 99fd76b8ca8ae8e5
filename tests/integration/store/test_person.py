"""Every place where something of a person is, on a real server: pending, before sinks and groups of workers, dead."""

from __future__ import annotations

import pytest

from rfctl.model.message import Message
from rfctl.store import Person
from rfctl.store.batch_keys import batch_key_of
from rfctl.store.connection import Connection
from tests.support.batching import Rig, make_rig

PHONE, OTHER = "79001234567", "79990000000"
GROUPS = ("rfctl:crm", "bot")


@pytest.fixture(params=[0, 3])
async def rig(request: pytest.FixtureRequest, connection: Connection) -> Rig:
    made_here = make_rig(connection, request.param)
    for shard in made_here.shards:
        for group in GROUPS:
            await connection.call("XGROUP", "CREATE", shard.out, group, "0", "MKSTREAM")
    return made_here


async def hand_over(rig: Rig, text: str, phone: str = PHONE) -> str:
    await rig.add([Message(phone=phone, text=text, id=text, channel="generic")])
    answer = await rig.batches.flush(batch_key_of(phone))
    assert answer is not None
    return answer[0]


async def find(rig: Rig, phone: str = PHONE, sinks: tuple[str, ...] = ("crm",)) -> Person:
    return await rig.store.people.find_person(list(sinks), phone, [])


async def test_unread_message_is_seen_before_each_sink_and_group(rig: Rig) -> None:
    await hand_over(rig, "not mine", OTHER)
    assert (await find(rig)).is_nowhere
    await hand_over(rig, "mine")
    person = await find(rig)
    assert not person.is_nowhere
    assert [(message.sink, message.state) for message in person.whereabouts.undelivered] == [
        ("crm", "unread")
    ]
    assert [(message.group, message.state) for message in person.unread] == [("bot", "unread")]
    assert person.unread[0].id == person.whereabouts.undelivered[0].id


async def test_message_that_was_read_is_unacknowledged_until_it_is_gone(
    rig: Rig, connection: Connection
) -> None:
    entry_id = await hand_over(rig, "mine")
    for shard in rig.shards:
        for group in GROUPS:
            await connection.call("XREADGROUP", "GROUP", group, "c", "STREAMS", shard.out, ">")
    person = await find(rig)
    assert [message.state for message in person.whereabouts.undelivered] == ["unacknowledged"]
    assert [message.state for message in person.unread] == ["unacknowledged"]
    for shard in rig.shards:
        for group in GROUPS:
            await connection.call("XACK", shard.out, group, entry_id)
    assert (await find(rig)).is_nowhere


async def test_message_of_a_sink_that_is_in_no_settings_any_more_is_seen(rig: Rig) -> None:
    await hand_over(rig, "mine")
    person = await find(rig, sinks=())
    assert [message.sink for message in person.whereabouts.undelivered] == ["crm"]


async def test_paused_sink_and_dead_letters_are_seen(rig: Rig, connection: Connection) -> None:
    await hand_over(rig, "mine")
    await rig.store.paused_sinks.pause("crm", "it moves")
    letter = (
        "sink",
        "crm",
        "id",
        "7-7",
        "tries",
        '[{"at_ms":1,"error":"no"}]',
        "phone",
        PHONE,
        "text",
        "dead",
    )
    await connection.call("XADD", rig.shards[-1].dead, "*", *letter)
    person = await find(rig)
    [message] = person.whereabouts.undelivered
    assert message.paused is not None
    assert message.paused.why == "it moves"
    assert [letter.entry.merged.text for letter in person.whereabouts.dead] == ["dead"]


async def test_long_backlog_is_searched_in_short_calls(connection: Connection) -> None:
    rig = make_rig(connection)
    await connection.call("XGROUP", "CREATE", rig.shards[0].out, "bot", "0", "MKSTREAM")
    for _ in range(3):
        await connection.calls([("XADD", rig.shards[0].out, "*", "phone", OTHER, "text", "x")] * 1000)
    await hand_over(rig, "mine")
    await connection.call("CONFIG", "RESETSTAT")
    assert len((await find(rig, sinks=())).unread) == 1
    used = (await connection.call("INFO", "commandstats")).decode()
    assert int(used.partition("cmdstat_evalsha:calls=")[2].partition(",")[0]) >= 6
