"""What `find` tells of a person, with the installed command: each place where a message can be, and what happens next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rfctl.model.message import Message, Unparsed
from rfctl.store import LoggedDelivery, StreamEntry
from rfctl.store.connection import Connection
from tests.cli.test_commands import PHONE
from tests.cli.test_sink_commands import Operator, crm
from tests.support.batching import Rig, make_rig
from tests.support.keys import SHARD
from tests.support.servers import RedisServer

OTHER = "79990000000"


@pytest.fixture
def rig(request: Any, connection: Connection) -> Rig:
    return make_rig(connection, getattr(request, "param", 0), quiet_ms=600_000, max_wait_ms=3_600_000)


@pytest.fixture
def operator(server: RedisServer, tmp_path: Path, rig: Rig) -> Operator:
    shards = len(rig.shards) if len(rig.shards) > 1 else 0
    return Operator(tmp_path, server.url, RFCTL_REDIS__SHARDS=str(shards), **crm("http://127.0.0.1:1/"))


async def hand_over(rig: Rig, text: str, phone: str = PHONE) -> None:
    await rig.add([Message(phone=phone, text=text, id=text, channel="generic")])
    await rig.drain()


async def read(rig: Rig, count: int) -> list[StreamEntry]:
    """Let the sink crm read what is handed over."""
    for shard in rig.shards:
        queue = rig.store.deliveries("crm", shard)
        await queue.open()
        assert await queue.lease("d", 60_000)
        if entries := await queue.read_new(count, 1, "d"):
            return entries
    raise AssertionError("nothing was read")


async def timeline(operator: Operator, phone: str = PHONE) -> list[dict[str, Any]]:
    answer = await operator.data("find", phone)
    assert answer["complete"]
    events: list[dict[str, Any]] = answer["timeline"]
    return events


async def test_nothing_is_known_of_a_stranger(rig: Rig, operator: Operator) -> None:
    await hand_over(rig, "hi", OTHER)
    assert (await operator.run("find", PHONE)).returncode == 3
    assert (await operator.run("find", "#" + "0" * 32)).returncode == 2


@pytest.mark.parametrize("rig", [0, 4], indirect=True)
async def test_each_message_says_where_it_is_and_what_happens_next(rig: Rig, operator: Operator) -> None:
    body = b'{"who":"+7 900 123-45-67"}'
    await rig.store.quarantine.add("tg", "telegram", [Unparsed(body, "odd"), Unparsed(b'{"who":"7"}', "odd")])
    for text in ("delivered", "waits", "behind", "on its way", "unread"):
        await hand_over(rig, text)
    entries = await read(rig, 4)
    shard = next(shard for shard in rig.shards if shard.number == entries[0].shard)
    queue = rig.store.deliveries("crm", shard)
    await queue.acknowledge(entries[0].batch_key, entries[0].id)
    logged = LoggedDelivery(0, PHONE, "crm", entries[0].id, "delivered", 2, 8)
    await rig.store.delivery_log.write(shard, logged)
    await queue.schedule_retry(
        entries[1].batch_key, [entry.id for entry in entries[1:3]], wait_ms=600_000, error="answered 503"
    )
    await rig.add([Message(phone=PHONE, text="pending", id="p", channel="generic")])
    events = await timeline(operator)
    assert [event["event"] for event in events] == ["quarantined", *["handed_over"] * 5, "pending"]
    outcomes = {event["text"]: event["outcomes"][0] for event in events[1:6]}
    assert outcomes["delivered"]["state"] == "delivered"
    assert (outcomes["delivered"]["attempts"], outcomes["delivered"]["took_ms"]) == (2, 8)
    assert outcomes["waits"]["state"] == outcomes["behind"]["state"] == "waiting"
    assert outcomes["waits"]["error"] == "answered 503"
    assert outcomes["waits"]["next"].startswith("attempt 2 in ")
    assert outcomes["behind"]["behind"] == events[2]["id"]
    assert outcomes["on its way"]["state"] == "on_its_way"
    assert outcomes["unread"]["state"] == "unread"
    assert events[-1]["text"] == "pending"
    assert events[-1]["due_in_ms"] > 0
    shown = (await operator.run("find", "+7 900 123-45-67")).stdout
    assert "crm: delivered " in shown
    assert "at attempt 2 in 8 ms" in shown
    assert f"it goes after {events[2]['id']}" in shown
    assert f"rfctl quarantine show {events[0]['id']}" in shown


async def test_traces_are_in_the_json_of_find_and_inspect(rig: Rig, operator: Operator) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    await hand_over(rig, "without")
    for number in range(2):
        for text, sent in (("a", trace), ("b", "")):
            message = Message(
                phone=PHONE, text=text, id=f"{text}{number}", channel="generic", traceparent=sent
            )
            await rig.add([message])
        if not number:
            await rig.drain()
    events = await timeline(operator)
    assert [event["event"] for event in events] == ["handed_over", "handed_over", "pending"]
    assert [event["traceparents"] for event in events] == [[], [trace, ""], [trace, ""]]
    inspected = await operator.data("inspect", PHONE)
    assert [message.get("traceparent") for message in inspected["messages"]] == [trace, None]


async def test_paused_sink_and_group_of_workers_are_named(rig: Rig, operator: Operator) -> None:
    await hand_over(rig, "hi\x1b[2J")
    await rig.store.output.ensure_groups(["rfctl:crm", "rfctl:old", "bot"])
    await operator.run("pause", "crm", "--why", "it moves")
    [event] = await timeline(operator)
    outcomes = {outcome.get("sink") or outcome["group"]: outcome for outcome in event["outcomes"]}
    crm_outcome, bot = outcomes["crm"], outcomes["bot"]
    assert outcomes["old"]["next"] == "no settings here have this sink"
    assert (crm_outcome["sink"], crm_outcome["next"]) == (
        "crm",
        "the sink is paused (it moves): rfctl resume crm",
    )
    assert (bot["group"], bot["state"], bot["next"]) == ("bot", "unread", "a worker reads it next")
    [shard] = [shard for shard in rig.shards if await rig.connection.call("XLEN", shard.out)]
    entry_id = event["id"].rsplit("-", event["id"].count("-") - 1)[0]
    await rig.connection.call("XREADGROUP", "GROUP", "bot", "w", "STREAMS", shard.out, ">")
    [event] = await timeline(operator)
    assert event["outcomes"][2]["state"] == "on_its_way"
    await rig.connection.call("XACK", shard.out, "bot", entry_id)
    [event] = await timeline(operator)
    assert event["outcomes"][2] == {**bot, "state": "acknowledged", "next": None}
    shown = (await operator.run("find", PHONE)).stdout
    assert "\x1b" not in shown
    assert "hi\\x1b[2J" in shown


async def test_what_left_the_stream_is_still_told(rig: Rig, operator: Operator) -> None:
    for text in ("dead", "logged"):
        await hand_over(rig, text)
    dead, done = await read(rig, 2)
    shard = next(shard for shard in rig.shards if shard.number == dead.shard)
    queue = rig.store.deliveries("crm", shard)
    await queue.dead_letter(dead, "answered 410")
    await queue.acknowledge(done.batch_key, done.id)
    await rig.store.delivery_log.write(shard, LoggedDelivery(0, PHONE, "crm", done.id, "delivered"))
    in_stream = {event["text"]: event["outcomes"][0] for event in await timeline(operator)}
    assert {text: outcome["state"] for text, outcome in in_stream.items()} == {
        "dead": "dead",
        "logged": "delivered",
    }
    assert in_stream["dead"]["next"].startswith("rfctl dead retry ")
    await rig.store.output.trim(retention_s=0, retention_entries=0)
    left = await timeline(operator)
    assert [event["event"] for event in left] == ["finished", "finished"]
    assert sorted(event["outcomes"][0]["state"] for event in left) == ["dead", "delivered"]
    [letter] = await rig.store.dead_letters.list_newest()
    whole = await rig.store.dead_letters.read_whole(letter)
    assert whole is not None
    assert await rig.store.dead_letters.retry(whole)
    again = {event["event"]: event["outcomes"][0] for event in await timeline(operator)}
    assert again["sent_again"]["state"] == "waiting"
    assert again["sent_again"]["next"] == "attempt 1 now"


async def test_search_that_ends_early_says_so(rig: Rig, operator: Operator, connection: Connection) -> None:
    fields = ("phone", PHONE, "text", "x", "messages", "[]")
    await connection.calls([("XADD", SHARD.out, f"{place}-1", *fields) for place in range(1, 1001)])
    answer = await operator.data("find", PHONE)
    assert not answer["complete"]
    assert answer["timeline"][-1]["id"] == "1000-1"
    assert 200 <= len(answer["timeline"]) <= 400
