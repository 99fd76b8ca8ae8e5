"""What `find` tells of a person, with the installed command: each place where a message can be, and what happens next."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from rfctl.batching import Batcher, BatchingRules, Policy, Rule, Timers
from rfctl.model.message import Message, Unparsed
from rfctl.store import LastAttempt, StreamEntry
from rfctl.store.connection import Connection
from tests.cli.test_commands import PHONE
from tests.cli.test_sink_commands import Operator, crm
from tests.support.batching import Rig, make_rig
from tests.support.keys import SHARD
from tests.support.processes import RFCTL, Process, environment
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
    assert (await operator.run("find", "#" + "0" * 32)).returncode == 3


@pytest.mark.parametrize("rig", [0, 4], indirect=True)
async def test_each_message_says_where_it_is_and_what_happens_next(rig: Rig, operator: Operator) -> None:
    body = b'{"who":"+7 900 123-45-67"}'
    await rig.store.quarantine.add("tg", "telegram", [Unparsed(body, "odd"), Unparsed(b'{"who":"7"}', "odd")])
    for text in ("delivered", "waits", "behind", "on its way", "unread"):
        await hand_over(rig, text)
    entries = await read(rig, 4)
    shard = next(shard for shard in rig.shards if shard.number == entries[0].shard)
    queue = rig.store.deliveries("crm", shard)
    await queue.acknowledge(entries[0].batch_key, entries[0].id, LastAttempt(attempts=2, took_ms=8))
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


async def test_dead_letter_that_was_dropped_is_still_told(rig: Rig, operator: Operator) -> None:
    await hand_over(rig, "dropped")
    [entry] = await read(rig, 1)
    shard = next(shard for shard in rig.shards if shard.number == entry.shard)
    await rig.store.deliveries("crm", shard).dead_letter(entry, "answered 410", 30)
    dropped = await operator.run("dead", "drop", "--all", "--yes")
    assert dropped.returncode == 0, dropped.stderr
    [event] = await timeline(operator)
    assert [outcome["state"] for outcome in event["outcomes"]] == ["dropped"]
    logged = [item async for item in rig.store.delivery_log.iterate(phone=PHONE)]
    assert [(item.outcome, item.attempts) for item in logged] == [("dropped", 1), ("dead", 1)]


async def test_drop_writes_no_log_where_it_is_off(rig: Rig, operator: Operator) -> None:
    await hand_over(rig, "dropped")
    [entry] = await read(rig, 1)
    shard = next(shard for shard in rig.shards if shard.number == entry.shard)
    await rig.store.deliveries("crm", shard, lambda: False).dead_letter(entry, "answered 410")
    line = ("dead", "drop", "--all", "--yes")
    assert (await operator.run(*line, RFCTL_DELIVERY_LOG__MAX_BYTES="0")).returncode == 0
    assert await rig.store.delivery_log.count() == 0


async def test_rule_that_threw_messages_away_is_named(rig: Rig, operator: Operator) -> None:
    stop = Rule("stop", words=frozenset({"stop"}), action="discard_batch")
    batcher = Batcher(rig.store, BatchingRules(Policy(Timers(600_000, 10, 3_600_000), (stop,))))
    for text in ("never", "mind", "Stop!"):
        await batcher.add([Message(phone=PHONE, text=text, id=text, channel="generic")])
    rules = {"RFCTL_RULES__LATER__WORDS": "later", "RFCTL_RULES__LATER__ACTION": "send_alone"}
    rules |= {"RFCTL_RULES__STOP__WORDS": "stop", "RFCTL_RULES__STOP__ACTION": "discard_batch"}
    [event] = (await operator.data("find", PHONE, **rules))["timeline"]
    assert (event["text"], event["discarded"], event["rule"]) == ("Stop!", 2, "stop")
    shown = (await operator.run("find", PHONE, **rules)).stdout
    assert "rule stop threw 2 messages before it away" in shown
    unknown = (await operator.run("find", PHONE)).stdout
    assert "a rule threw 2 messages before it away" in unknown


async def test_find_has_all_that_inspect_has(rig: Rig, operator: Operator) -> None:
    for text in ("waits", "dead", "unread"):
        await hand_over(rig, text)
    waits, dead = (await read(rig, 2))[:2]
    shard = next(shard for shard in rig.shards if shard.number == dead.shard)
    queue = rig.store.deliveries("crm", shard)
    await queue.dead_letter(dead, "answered 410")
    await queue.schedule_retry(waits.batch_key, [waits.id], wait_ms=600_000, error="answered 503")
    await rig.add([Message(phone=PHONE, text="pending", id="p", channel="generic")])
    answer, inspected = await operator.data("find", PHONE), await operator.data("inspect", PHONE)
    passing = {"due_in_ms", "next_retry_in_ms"}
    assert _without(passing, {name: answer[name] for name in inspected}) == _without(passing, inspected)
    assert set(answer) - set(inspected) == {"timeline"}
    assert (len(answer["deliveries"]), len(answer["dead"]), len(answer["messages"])) == (2, 1, 1)


def _without(names: set[str], value: Any) -> Any:
    """The same without what changes from one moment to the next."""
    if isinstance(value, dict):
        return {key: _without(names, item) for key, item in value.items() if key not in names}
    return [_without(names, item) for item in value] if isinstance(value, list) else value


async def test_find_takes_a_chat_and_a_batch_key(rig: Rig, operator: Operator) -> None:
    for chat in ("", "group"):
        await rig.add([Message(phone=PHONE, text=f"in {chat}", id=chat, channel="generic", chat=chat)])
    await hand_over_other_chat(rig)
    group = await operator.data("find", PHONE, "--chat", "group")
    assert [event["text"] for event in group["timeline"]] == ["in group"]
    assert (group["size"], group["deliveries"]) == (1, [])
    [batch] = group["batches"]
    by_key = await operator.data("find", batch["batch_key"])
    assert by_key["phone"] == PHONE
    assert [event["batch_key"] for event in by_key["timeline"]] == [batch["batch_key"]]
    private = await operator.run("find", PHONE, "--chat", "")
    assert ("in " in private.stdout, "in group" in private.stdout) == (True, False)
    assert (await operator.run("find", PHONE, "--chat", "nowhere")).returncode == 3


async def hand_over_other_chat(rig: Rig) -> None:
    """Hand over something of another chat, which is no pending message."""
    other = Message(phone=PHONE, text="gone", id="gone", channel="generic", chat="gone")
    await rig.add([other])
    [key] = await rig.store.batches.find_batches(PHONE, "gone")
    assert await rig.store.batches.flush(key)


async def test_search_that_ends_early_says_so(rig: Rig, operator: Operator, connection: Connection) -> None:
    fields = ("phone", PHONE, "text", "x", "messages", "[]")
    await connection.calls([("XADD", SHARD.out, f"{place}-1", *fields) for place in range(1, 1001)])
    answer = await operator.data("find", PHONE)
    assert not answer["complete"]
    assert answer["timeline"][-1]["id"] == "1000-1"
    assert 200 <= len(answer["timeline"]) <= 400


async def test_dropped_message_is_seen_by_find_tail_and_stats(
    server: RedisServer, tmp_path: Path, rig: Rig
) -> None:
    rule = {"RFCTL_RULES__STAFF__PHONES": "+7 900 123-45-67", "RFCTL_RULES__STAFF__ACTION": "drop"}
    operator = Operator(tmp_path, server.url, **rule)
    async with operator.daemon() as daemon:
        await asyncio.to_thread(daemon.post, {"from": PHONE, "message": "hi", "messageId": "wa-1"})
        [event] = await timeline(operator)
        assert (event["event"], event["id"], event["rule"]) == ("message_dropped", "wa-1", "staff")
        assert event["next"] == "rfctl config explain rules.staff.action"
        assert "dropped by rule staff" in (await operator.run("find", PHONE)).stdout
        stats = await operator.data("stats")
        assert (stats["totals"]["dropped:staff"], stats["pending"]["batches"]) == (1, 0)
        assert "staff 1" in (await operator.run("stats")).stdout
        with Process([RFCTL, "tail", "--since", "10m"], environment(tmp_path, **operator.variables)) as tail:
            assert "-x- " + PHONE in await asyncio.to_thread(tail.stdout.read_line)
            await asyncio.to_thread(daemon.post, {"from": PHONE, "message": "hi", "messageId": "wa-2"})
            assert "wa-2" in await asyncio.to_thread(tail.stdout.read_line)
    forgotten = await operator.run("forget", PHONE, "--yes")
    assert forgotten.returncode == 0, forgotten.stderr
    assert (await operator.run("find", PHONE)).returncode == 3
