"""Batches on a real server, through the scripts."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from rfctl.batching import Scheduler
from rfctl.batching.policy import Rule
from rfctl.errors import RedisCannotNowError, RedisUnreachableError
from rfctl.model.closed_sets import DueEnd
from rfctl.model.histogram import Histogram
from rfctl.model.message import Media, Message
from rfctl.store import BatchOptions
from rfctl.store.batch_keys import batch_key_of
from rfctl.store.connection import Connection
from tests.support.batching import make_rig
from tests.support.clock import VirtualClock
from tests.support.keys import SHARD
from tests.support.servers import RedisServer, ServerMaker, patient_address
from tests.support.waiting import PATIENCE_S

PHONE = "79001234567"


def message(text: str, phone: str = PHONE, **more: Any) -> Message:
    return Message(phone=phone, text=text, id=more.pop("id", text), channel="generic", **more)


def count_of(histogram: Histogram) -> dict[float, int]:
    """How many values there are up to each bound, and above the one before it."""
    bounds = [*(bound / histogram.per_unit for bound in histogram.bounds), float("inf")]
    return {bound: count for bound, count in zip(bounds, histogram.counts, strict=True) if count}


@pytest.fixture(params=[0, 4])
def shards(request: Any) -> int:
    return int(request.param)


async def test_four_fragments_become_one_merged_message(
    timed: Connection, clock: VirtualClock, shards: int
) -> None:
    batches = make_rig(timed, shards, quiet_ms=50)
    for text in ("Привет,", "запишите", "меня на", "стрижку"):
        await batches.add([message(text)])
    await clock.advance(49)
    assert (await batches.hand_over()).batches == 0
    await clock.advance(1)
    done = await batches.hand_over()
    assert (done.batches, done.messages, done.next_due_ms, done.more) == (1, 4, None, False)
    [merged] = await batches.collect()
    assert merged.text == "Привет, запишите меня на стрижку"
    assert (merged.phone, merged.count, merged.reason) == (PHONE, 4, "quiet")


async def test_the_keys_are_the_node_services(connection: Connection) -> None:
    batches = make_rig(connection)
    await batches.add([message("a", company=962302, metadata=b'{"n":9007199254740993,"e":[]}')])
    keys = {key.decode() for key in await connection.call("KEYS", "*")}
    assert {key for key in keys if not key.startswith("rfctl:")} == {
        f"rapid-fire:{PHONE}",
        f"last-msg:{PHONE}",
    }
    [raw] = await connection.call("LRANGE", f"rapid-fire:{PHONE}", 0, -1)
    item = json.loads(raw)
    assert {
        "message": "a",
        "companyId": 962302,
        "metadata": {"n": 9007199254740993, "e": []},
    }.items() <= item.items()
    assert isinstance(item["timestamp"], int)
    assert await connection.call("PTTL", f"rapid-fire:{PHONE}") == -1, "no key that holds a message expires"
    assert await connection.call("PTTL", f"last-msg:{PHONE}") > 0


async def test_full_batch_leaves_in_the_call_that_fills_it(connection: Connection, shards: int) -> None:
    batches = make_rig(connection, shards)
    results = await batches.add([message(str(i)) for i in range(12)])
    assert [result.size for result in results] == [*range(1, 11), 1, 2]
    [merged] = await batches.collect()
    assert (merged.count, merged.reason, merged.late_ms) == (10, "size", 0)
    batch = await batches.batches.peek(PHONE)
    assert batch is not None
    assert [message.text for message in batch.messages] == ["10", "11"]


async def test_the_first_message_never_waits_longer_than_max_wait(
    timed: Connection, clock: VirtualClock
) -> None:
    batches = make_rig(timed, quiet_ms=200, max_wait_ms=250)
    for i in range(4):
        await batches.add([message(str(i))])
        await clock.advance(62)
    assert (await batches.hand_over()).batches == 0
    await clock.advance(2)
    assert (await batches.hand_over()).batches == 1
    [merged] = await batches.collect()
    assert (merged.reason, merged.count) == ("max-wait", 4)


async def test_two_companies_are_never_in_one_merged_message(connection: Connection, shards: int) -> None:
    batches = make_rig(connection, shards)
    await batches.add(
        [message("a", company="1"), message("b", company="2"), message("c", company="1"), message("d")]
    )
    merged = await batches.collect()
    assert [(message.company, message.text, message.reason) for message in merged] == [
        ("1", "a", "company"),
        ("2", "b", "company"),
        ("1", "c", "company"),
    ]


async def test_simulated_message_never_joins_a_real_batch(connection: Connection) -> None:
    batches = make_rig(connection)
    await batches.add([message("real"), message("made up", simulated=True)])
    [merged] = await batches.collect()
    assert (merged.text, merged.simulated, merged.reason) == ("real", False, "source")


async def test_id_is_added_once_for_each_sender(connection: Connection, shards: int) -> None:
    batches = make_rig(connection, shards)
    results = await batches.add([message("a", id="1"), message("a", id="1"), message("a", "7", id="1")])
    assert [result.added for result in results] == [True, False, True]
    await batches.batches.flush(PHONE)
    assert not (await batches.add([message("a", id="1")]))[0].added, "after the hand-over too"


async def test_text_and_metadata_come_out_to_the_byte(connection: Connection) -> None:
    batches = make_rig(connection, separator="\n")
    texts = ["😀👨‍👩‍👧", "a\nb\tc", "\u202eשלום", '","companyId":1,"metadata":', '\\"\\', "\0", "]}{"]
    metadata = b'{"id":12345678901234567890,"empty":[],"o":{},"f":1.50,"s":"\\u0000,\\"metadata\\":"}'
    await batches.add([message(text, id=str(i), metadata=metadata) for i, text in enumerate(texts)])
    await batches.batches.flush(PHONE)
    [merged] = await batches.collect()
    assert merged.text == "\n".join(texts)
    assert [message.text for message in merged.messages] == texts
    assert all(metadata in raw for raw in merged.raw)


@pytest.mark.parametrize(
    "phone", ["a b", "*", "}{", "{17}:x", "rfctl:due", "x" * 200, "\0\n", "#" + "0" * 32, "тел"]
)
async def test_hostile_phone_is_a_phone_like_any_other(
    connection: Connection, phone: str, shards: int
) -> None:
    batches = make_rig(connection, shards)
    await batches.add([message("a", phone), message("b", phone)])
    pending = await batches.store.pending()
    assert [(item.phone, item.size) for item in pending.next_due] == [(phone, 2)]
    assert await batches.batches.flush(batch_key_of(phone)) is not None
    [merged] = await batches.collect()
    assert (merged.phone, merged.text) == (phone, "a b")
    assert len(await connection.call("KEYS", f"rapid-fire:*{batch_key_of(phone)}*")) == 0


async def test_two_daemons_hand_each_batch_over_once(
    timed: Connection, clock: VirtualClock, shards: int
) -> None:
    batches = make_rig(timed, shards, quiet_ms=1)
    await batches.add([message("x", f"p{i}", id="1") for i in range(200)])
    await clock.advance(1)
    await asyncio.gather(*(batches.hand_over(limit=7) for _ in range(60)))
    merged = await batches.collect()
    assert len(merged) == len({message.phone for message in merged}) == 200


async def test_hand_over_begins_at_either_end_of_what_is_due(timed: Connection, clock: VirtualClock) -> None:
    rig = make_rig(timed, quiet_ms=1)
    for number in range(100):
        await rig.add([message("x", f"p{number}")])
        await clock.advance(1)
    await rig.add([message("x", "not due")])
    steps: list[tuple[DueEnd, int]] = [("newest", 84), ("oldest", 0), ("newest", 68)]
    for end, first in steps:
        answer = await rig.batcher.hand_over(0, end)
        assert (answer.batches, answer.more) == (16, True)
        gone = [merged.phone for merged in (await rig.collect())[-16:]]
        assert sorted(gone) == sorted(f"p{number}" for number in range(first, first + 16))


async def test_turn_of_several_calls_at_once_hands_each_batch_over_once(
    timed: Connection, clock: VirtualClock, shards: int
) -> None:
    rig = make_rig(timed, shards, quiet_ms=1)
    await rig.add([message("x", f"p{number}", id="1") for number in range(500)])
    await clock.advance(1)
    last = await Scheduler(rig.batcher, max_sleep_ms=1).step()
    assert (last.more, last.next_due_ms) == (False, None)
    merged = await rig.collect()
    assert len(merged) == len({each.phone for each in merged}) == 500


async def test_overdue_batch_is_handed_over_counted_and_named(timed: Connection, clock: VirtualClock) -> None:
    batches = make_rig(timed, quiet_ms=1, overdue_ms=10)
    await batches.add([message("a")])
    await clock.advance(50)
    done = await batches.hand_over()
    assert (done.overdue, done.latest) == (1, (PHONE, 49))
    [merged] = await batches.collect()
    assert merged.late_ms == 49
    assert (await batches.store.pending()).totals["stale"] == 1


async def test_latest_of_the_overdue_batches_is_named_over_all_shards(
    timed: Connection, clock: VirtualClock, shards: int
) -> None:
    rig = make_rig(timed, shards, quiet_ms=1, overdue_ms=10)
    await rig.add([message("a", "latest")])
    await clock.advance(5)
    await rig.add([message("x", f"p{number}") for number in range(6)])
    await clock.advance(50)
    await rig.add([message("b", "in time")])
    await clock.advance(1)
    done = await rig.hand_over()
    assert (done.batches, done.overdue, done.latest) == (8, 7, ("latest", 55))
    assert (await rig.hand_over()).latest == ("", 0)


async def test_what_is_handed_over_is_measured(timed: Connection, clock: VirtualClock, shards: int) -> None:
    rig = make_rig(timed, shards, quiet_ms=5000, max_wait_ms=60_000)
    for text in ("a", "b", "c"):
        await rig.add([message(text)])
        await clock.advance(700)
    await rig.add([message("x", "another")])
    await clock.advance(5000)
    await rig.hand_over()
    measures = rig.batches.measures
    assert (count_of(measures.sizes), measures.sizes.total) == ({1: 1, 3: 1}, 4)
    assert (count_of(measures.gaps), measures.gaps.total) == ({1: 2}, 1.4)
    assert (count_of(measures.waits), measures.waits.total) == ({5: 1, 7.5: 1}, 7.1 + 5)
    assert (count_of(measures.lateness), measures.lateness.total) == ({0.001: 1, 1: 1}, 0.7)


async def test_batch_that_leaves_at_once_is_measured_too(
    timed: Connection, clock: VirtualClock, shards: int
) -> None:
    rig = make_rig(timed, shards, max_size=3)
    await rig.add([message("a", company=1), message("b", company=1)])
    await clock.advance(1500)
    results = await rig.add([message("c", company=1), message("d", company=1), message("e", company=2)])
    assert [result.size for result in results] == [3, 1, 1], "what is measured is no result of a message"
    measures = rig.batches.measures
    assert count_of(measures.sizes) == {3: 1, 1: 1}
    assert count_of(measures.gaps) == {0.1: 1, 1.5: 1}
    assert (count_of(measures.waits), measures.waits.total) == ({0.1: 1, 2: 1}, 1.5)
    assert count_of(measures.lateness) == {0.001: 2}


async def test_due_time_is_clamped_after_the_clock_jumped_back(
    timed: Connection, clock: VirtualClock
) -> None:
    batches = make_rig(timed, quiet_ms=20, max_wait_ms=100)
    await batches.add([message("a")])
    await clock.advance(-3_600_000)
    done = await batches.hand_over()
    assert (done.clamped, done.batches) == (1, 0)
    await clock.advance(20)
    assert (await batches.hand_over()).batches == 1


async def test_batch_that_fills_up_is_joined_by_the_options_of_now(
    connection: Connection, shards: int
) -> None:
    batches = make_rig(connection, shards, max_size=2)
    await batches.add([message("a"), message("b")])
    batches.batches.reconfigure(BatchOptions(" | "))
    await batches.add([message("c"), message("d")])
    assert [merged.text for merged in await batches.collect()] == ["a b", "c | d"]


async def test_order_sent_goes_by_the_senders_clock(connection: Connection) -> None:
    batches = make_rig(connection, order="sent")
    await batches.add([message("b", sent_ms=2000), message("a", sent_ms=1000), message("b2", sent_ms=2000)])
    await batches.batches.flush(PHONE)
    [merged] = await batches.collect()
    assert merged.text == "a b b2"


@pytest.mark.parametrize(
    ("sent_ms", "order"),
    [
        # A provider that tells whole seconds, and what it gives no time: that has the ms of Redis.
        ({"Haircut": 1_790_000_000_700, "tomorrow at 5": 1_790_000_000_000}, "Haircut tomorrow at 5"),
        ({"b": 1_790_000_001_000, "c": 1_790_000_001_400, "a": 1_790_000_000_999}, "a b c"),
        ({"b": 1_790_000_001_600, "c": 1_790_000_001_400, "a": 1_790_000_000_000}, "a b c"),
        # Nothing but ms: they are believed.
        ({"b": 1_790_000_000_700, "a": 1_790_000_000_001}, "a b"),
    ],
)
async def test_order_sent_keeps_the_arrival_where_times_are_whole_seconds(
    connection: Connection, shards: int, sent_ms: dict[str, int], order: str
) -> None:
    batches = make_rig(connection, shards, order="sent")
    for text, at in sent_ms.items():
        await batches.add([message(text, sent_ms=at)])
    await batches.batches.flush(PHONE)
    [merged] = await batches.collect()
    assert merged.text == order


async def test_order_sent_goes_by_ms_where_a_message_without_a_time_comes_at_a_whole_second(
    timed: Connection, clock: VirtualClock, shards: int
) -> None:
    batches = make_rig(timed, shards, order="sent")
    await clock.set(1_790_000_001_000)
    await batches.add([message("c", sent_ms=1_790_000_001_400), message("b", sent_ms=1_790_000_001_100)])
    await batches.add([message("a")])
    await batches.batches.flush(PHONE)
    [merged] = await batches.collect()
    assert merged.text == "a b c"


async def test_discard_returns_the_items_and_leaves_nothing_to_flush(
    connection: Connection, shards: int
) -> None:
    batches = make_rig(connection, shards)
    await batches.add([message("a"), message("b")])
    assert len(await batches.batches.discard(PHONE)) == 2
    assert await batches.batches.flush(PHONE) is None
    assert await batches.batches.peek(PHONE) is None
    pending = await batches.store.pending()
    assert (pending.messages, pending.totals["messages_discarded"]) == (0, 2)


async def test_key_of_another_kind_harms_no_neighbour(
    connection: Connection, timed: Connection, clock: VirtualClock
) -> None:
    batches = make_rig(timed, quiet_ms=1)
    await connection.call("SET", "rapid-fire:bad", "x")
    results = await batches.add([message("a", "good"), message("a", "bad"), message("a", "fine")])
    assert [(result.added, bool(result.rejected)) for result in results] == [
        (True, False),
        (False, True),
        (True, False),
    ]
    await connection.call("ZADD", "rfctl:due", 1, "bad")
    await clock.advance(1)
    assert (await batches.hand_over()).batches == 2
    assert (await batches.store.pending()).totals["keys_taken"] == 1


async def test_list_of_the_node_service_is_handed_over_before_the_next_message(
    connection: Connection,
) -> None:
    batches = make_rig(connection)
    old = json.dumps({"message": "old", "companyId": 1, "metadata": {}, "timestamp": 1})
    await connection.call("RPUSH", f"rapid-fire:{PHONE}", old, "not json")
    await batches.add([message("new")])
    await batches.batches.flush(PHONE)
    merged = await batches.collect()
    assert [message.text for message in merged] == ["old not json", "new"]
    assert json.loads(b"[" + b",".join(merged[0].raw) + b"]")[1] == "not json"


async def test_a_lost_script_is_loaded_again(connection: Connection) -> None:
    batches = make_rig(connection)
    await batches.add([message("a")])
    await connection.call("SCRIPT", "FLUSH")
    assert (await batches.add([message("b")]))[0].size == 2


async def test_full_memory_rejects_new_messages_and_still_hands_over(own_server: ServerMaker) -> None:
    server = own_server("--maxmemory-policy", "noeviction")

    connection = Connection.open(patient_address(server.url))
    batches = make_rig(connection)
    await batches.add([message("a")])
    await batches.batches.flush("nobody")
    await connection.call("CONFIG", "SET", "maxmemory", 1)
    with pytest.raises(RedisCannotNowError, match="cannot serve this now"):
        await batches.add([message("b")])
    assert await batches.batches.flush(PHONE) is not None
    assert [message.text for message in await batches.collect()] == ["a"]
    await connection.close()


async def test_acknowledged_message_survives_a_kill_of_the_server(own_server: ServerMaker) -> None:
    server = own_server()

    connection = Connection.open(patient_address(server.url))
    batches = make_rig(connection, max_size=1000)
    for i in range(50):
        await batches.add([message(str(i))])
    server.kill()
    with pytest.raises(RedisUnreachableError):
        await batches.add([message("x")])
    server.start()
    await batches.batches.flush(PHONE)
    [merged] = await batches.collect()
    assert merged.count == 50
    await connection.close()


async def test_summary_of_a_million_batches_scans_nothing(own_server: ServerMaker) -> None:
    """It has a server of its own: emptying a million keys would hold up the next test."""
    connection = Connection.open(patient_address(own_server(appendonly="no").url))
    batches = make_rig(connection)
    await batches.add([message("a")])
    fill = "for i=ARGV[1],ARGV[1]+1999 do redis.call('ZADD', KEYS[1], 9e12+i, 'p'..i) end"
    for first in range(1, 1_000_001, 2000):  # in short calls, as a long one would run into the timeout
        await connection.call("EVAL", fill, 1, "rfctl:due", first)
    await connection.call("CONFIG", "RESETSTAT")
    pending = await batches.store.pending()
    assert pending.batches == 1_000_001
    assert [item.phone for item in pending.next_due] == [PHONE]
    used = (await connection.call("INFO", "commandstats")).decode()
    assert "cmdstat_keys" not in used
    assert "scan" not in used
    await connection.close()


def rule(text: str, action: Any) -> Rule:
    return Rule(text, words=frozenset({text}), action=action)


RULES = (rule("alone", "send_alone"), rule("all", "send_batch"), rule("stop", "discard_batch"))


async def test_send_alone_hands_over_the_pending_batch_first(connection: Connection, shards: int) -> None:
    batches = make_rig(connection, shards, RULES)
    results = await batches.add([message("a"), message("b"), message("alone"), message("c")])
    assert [result.due_in_ms for result in results][2] == 0
    merged = await batches.collect()
    assert [(message.text, message.reason) for message in merged] == [("a b", "bypass"), ("alone", "bypass")]
    batch = await batches.batches.peek(PHONE)
    assert batch is not None
    assert [message.text for message in batch.messages] == ["c"]


async def test_send_batch_hands_over_the_batch_with_the_message(connection: Connection, shards: int) -> None:
    batches = make_rig(connection, shards, RULES)
    await batches.add([message("a"), message("all")])
    [merged] = await batches.collect()
    assert (merged.text, merged.reason, merged.count) == ("a all", "bypass", 2)


async def test_discard_batch_drops_and_counts_the_pending_messages(
    connection: Connection, shards: int
) -> None:
    batches = make_rig(connection, shards, RULES)
    await batches.add([message("a"), message("b"), message("stop")])
    [merged] = await batches.collect()
    assert (merged.text, merged.count, merged.discarded) == ("stop", 1, 2)
    pending = await batches.store.pending()
    assert (pending.messages, pending.batches, pending.totals["messages_discarded"]) == (0, 0, 2)


async def test_discard_batch_spares_the_batch_of_another_company(connection: Connection) -> None:
    batches = make_rig(connection, 0, RULES)
    await batches.add([message("a", company="1"), message("stop", company="2")])
    merged = await batches.collect()
    assert [(message.text, message.company, message.discarded) for message in merged] == [
        ("a", "1", 0),
        ("stop", "2", 0),
    ]


async def test_senders_and_chats_are_never_mixed(connection: Connection, shards: int) -> None:
    batches = make_rig(connection, shards)
    await batches.add(
        [
            message("a", "1", chat="g"),
            message("b", "2", chat="g"),
            message("c", "1", chat="g"),
            message("d", "1"),
        ]
    )
    await batches.drain("flush")
    merged = {(message.phone, message.chat): message.text for message in await batches.collect()}
    assert merged == {("1", "g"): "a c", ("2", "g"): "b", ("1", ""): "d"}


async def test_accounts_never_share_a_batch_and_split_by_keeps_both_open(connection: Connection) -> None:
    batches = make_rig(connection)
    await batches.add([message("a", account="x"), message("b", account="y")])
    [merged] = await batches.collect()
    assert (merged.text, merged.account, merged.reason) == ("a", "x", "source")
    await connection.call("FLUSHALL")
    batches = make_rig(connection, split_by=frozenset({"account", "company"}))
    await batches.add([message("a", account="x"), message("b", account="y"), message("c", account="x")])
    await batches.add([message("d", company="1"), message("e", company="2"), message("f", company="1")])
    assert await batches.collect() == []
    await batches.drain("flush")
    assert sorted(message.text for message in await batches.collect()) == ["a c", "b", "d f", "e"]


async def test_same_id_of_another_account_or_source_is_another_message(connection: Connection) -> None:
    batches = make_rig(connection, max_size=100)
    sent = [message("a", id="1"), message("a", id="1", account="x"), message("a", id="1", account="x")]
    results = await batches.add(sent)
    assert [result.added for result in results] == [True, True, False]
    assert (await batches.add([Message(phone=PHONE, text="a", id="1", channel="other")]))[0].added


async def test_edit_and_deletion_change_the_text_and_keep_the_originals(connection: Connection) -> None:
    batches = make_rig(connection, separator="|")
    await batches.add(
        [
            message("helo", id="1"),
            message("wrong", id="2"),
            message("hello", id="3", type="edit", refers="1"),
            message("[deletion]", id="4", type="deletion", refers="2"),
            message("new text", id="5", type="edit", refers="gone"),
        ]
    )
    await batches.batches.flush(PHONE)
    [merged] = await batches.collect()
    assert merged.text == "hello|new text"
    assert [message.text for message in merged.messages] == [
        "helo",
        "wrong",
        "hello",
        "[deletion]",
        "new text",
    ]


async def test_transcript_takes_the_place_of_the_voice_message_that_is_pending(
    connection: Connection,
) -> None:
    batches = make_rig(connection, separator="|")
    await batches.add(
        [
            message("[voice]", id="1", type="voice", media=(Media(id="m"),)),
            message("and this", id="2"),
            message("what was spoken", id="3", type="transcript", refers="1"),
            message("of a message that has left", id="4", type="transcript", refers="gone"),
        ]
    )
    await batches.batches.flush(PHONE)
    [merged] = await batches.collect()
    assert merged.text == "what was spoken|and this|of a message that has left"
    assert [item.type for item in merged.messages] == ["voice", "text", "transcript", "transcript"]


async def test_media_and_reference_come_out_unchanged(connection: Connection) -> None:
    batches = make_rig(connection)
    media = (Media(id="m1", mime="image/jpeg", caption='","refers":"x', url="https://x/y"),)
    await batches.add([message("", type="image", media=media, refers="r", platform="whatsapp", account="a")])
    await batches.batches.flush(PHONE)
    [merged] = await batches.collect()
    [item] = merged.messages
    assert (item.media, item.type, item.refers) == (media, "image", "r")
    assert (merged.platform, merged.account, merged.text) == ("whatsapp", "a", "")


@pytest.mark.parametrize("turns", range(-1, 12))
async def test_cancellation_is_obeyed_while_connecting(server: RedisServer, turns: int) -> None:
    connection = Connection.open(patient_address(server.url))

    async def follow() -> None:
        if turns < 0:
            own = asyncio.current_task()
            assert own is not None
            own.cancel()  # as Ctrl-C does while the task runs
        async for _ in connection.follow_channel("x"):
            pass

    async def ask() -> None:
        while True:
            await connection.now_ms(SHARD)

    for work in (follow(), ask()):
        task = asyncio.create_task(work)
        for _ in range(max(1, turns)):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=PATIENCE_S)
        assert done, "it goes on"
    await connection.close()


async def test_item_that_only_lua_takes_for_json_comes_out_as_text(connection: Connection) -> None:
    batches = make_rig(connection)
    await connection.call("RPUSH", f"rapid-fire:{PHONE}", '{"message":"a","metadata":{"score":NaN}}')
    await connection.call(
        "RPUSH", f"rapid-fire:{PHONE}", '{"message":"is NaN \\" a word?","n":-1.5e3,"t":true}'
    )
    await batches.batches.flush(PHONE)
    [merged] = await batches.collect()
    assert merged.text == '{"message":"a","metadata":{"score":NaN}} is NaN " a word?'
    assert json.loads(b"[" + b",".join(merged.raw) + b"]", parse_constant=pytest.fail)


async def test_longer_wait_of_another_daemons_rule_is_not_clamped(connection: Connection) -> None:
    patient = make_rig(connection, 0, [Rule("slow", quiet_ms=3_600_000, max_wait_ms=7_200_000)])
    await patient.add([message("a")])
    assert (await make_rig(connection).hand_over()).clamped == 0
    batch = await patient.batches.peek(PHONE)
    assert batch is not None
    assert batch.due_ms is not None
    assert batch.due_ms - batch.now_ms > 3_500_000


async def test_scripts_and_the_connection_go_by_one_clock(timed: Connection, clock: VirtualClock) -> None:
    await clock.set(1_700_000_000_000)
    rig = make_rig(timed, quiet_ms=5000)
    await rig.add([message("a")])
    batch = await rig.batches.peek(PHONE)
    assert batch is not None
    assert (batch.now_ms, batch.due_ms) == (1_700_000_000_000, 1_700_000_005_000)
    assert batch.messages[0].receivedAt == await timed.now_ms(SHARD) == (await rig.hand_over()).now_ms


async def test_first_message_of_a_time_to_come_does_not_lengthen_the_wait(
    timed: Connection, clock: VirtualClock
) -> None:
    rig = make_rig(timed, quiet_ms=5000, max_wait_ms=1000)
    await rig.add([message("a")])
    await clock.advance(-3_600_000)
    [added] = await rig.add([message("b")])
    assert added.due_in_ms == 1000


async def test_message_that_was_stored_twice_is_handed_over_once(connection: Connection) -> None:
    rig = make_rig(connection)
    await rig.add([message("a"), message("b")])
    [first, _] = await connection.call("LRANGE", f"rapid-fire:{PHONE}", 0, -1)
    await connection.call("RPUSH", f"rapid-fire:{PHONE}", first)  # the call that broke came again
    await rig.batches.flush(PHONE)
    [merged] = await rig.collect()
    assert (merged.text, merged.count) == ("a b", 2)
    assert (await rig.store.pending()).totals["repeats_dropped"] == 1


TRACES = [f"00-4bf92f3577b34da6a3ce929d0e0e473{number}-00f067aa0ba902b7-01" for number in range(3)]


@pytest.mark.parametrize("kind", ["text", "image"])
@pytest.mark.parametrize("phone", [PHONE, "a b"])
async def test_entry_has_the_trace_of_each_message_in_their_order(
    connection: Connection, shards: int, kind: str, phone: str
) -> None:
    rig = make_rig(connection, shards)
    await rig.add([
        message("c", phone, sent_ms=3000, traceparent=TRACES[0]),
        message("a", phone, sent_ms=1000, type=kind),
        message("b", phone, sent_ms=2000, traceparent=TRACES[2]),
    ])  # fmt: skip
    await rig.drain()
    rig.store.reconfigure(BatchOptions(" ", "sent"))
    await rig.add([
        message("f", phone, sent_ms=3000, traceparent=TRACES[0]),
        message("d", phone, sent_ms=1000, type=kind),
        message("e", phone, sent_ms=2000, traceparent=TRACES[2]),
    ])  # fmt: skip
    await rig.drain()
    arrived, sent = await rig.collect()
    assert (arrived.text, arrived.traceparents) == ("c a b", (TRACES[0], "", TRACES[2]))
    assert (sent.text, sent.traceparents) == ("d e f", ("", TRACES[2], TRACES[0]))
    assert [each.traceparent for each in arrived.messages] == [TRACES[0], None, TRACES[2]]


async def test_entry_without_a_trace_has_no_field_for_it(connection: Connection) -> None:
    rig = make_rig(connection)
    hidden = f'","messageId":"x","traceparent":"{TRACES[0]}"'
    await rig.add([
        message(hidden, metadata=b'{"traceparent":"%b","type":"text"}' % TRACES[0].encode()),
        message("b", id=hidden[:80]), message("c", traceparent="x" * 55), message("d", refers=hidden),
    ])  # fmt: skip
    await rig.drain()
    [(_, fields)] = await connection.call("XRANGE", "rfctl:out", "-", "+")
    assert b"traceparents" not in fields[::2]
    [merged] = await rig.collect()
    assert (merged.count, merged.traceparents) == (4, ())


@pytest.mark.parametrize("order", ["arrival", "sent"])
async def test_trace_changes_no_id_and_joins_any_batch(
    connection: Connection, timed: Connection, clock: VirtualClock, order: Any
) -> None:
    now = await timed.now_ms(SHARD)
    rig, seen = make_rig(timed, order=order), list[Any]()
    for traces in (["", "", ""], TRACES, [TRACES[0], "", ""]):
        await connection.call("FLUSHALL")
        await clock.set(now)
        for text, trace in zip("abc", traces, strict=True):
            await rig.add([message(text, traceparent=trace)])
        assert not (await rig.add([message("a", traceparent=TRACES[1])]))[0].added
        await rig.batches.flush(PHONE)
        [merged] = await rig.collect()
        seen.append((merged.delivery_id, merged.text, merged.count, merged.batch_key))
    assert seen[0] == seen[1] == seen[2]


async def test_delivery_id_follows_from_the_messages_and_nothing_else(
    connection: Connection, timed: Connection, clock: VirtualClock
) -> None:
    """A hand-over that a failover has lost is made again under its id; another merged message has another."""
    now = await timed.now_ms(SHARD)
    rig, ids = make_rig(timed), list[str]()
    for texts in (["a", "b"], ["a", "b"], ["a", "c"], ["b", "a"]):
        await connection.call("FLUSHALL")
        await clock.set(now)
        await rig.add([message(text) for text in texts])
        await clock.advance(len(ids))  # when it is handed over is not in it
        await rig.batches.flush(PHONE)
        [merged] = await rig.collect()
        ids.append(merged.delivery_id)
    assert ids[0] == ids[1]
    assert len(set(ids[1:])) == 3
