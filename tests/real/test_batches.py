"""The verdict: the scripts on a real server."""

from __future__ import annotations

import asyncio
import json

import pytest

from rfctl.connection import Connection
from rfctl.errors import RedisCannotNowError, RedisUnreachableError
from rfctl.keys import name_of
from rfctl.message import Message
from rfctl.overview import overview
from tests.conftest import collected, make_batches

PHONE = "79001234567"


def message(text: str, phone: str = PHONE, **more) -> Message:
    return Message(phone=phone, text=text, id=more.pop("id", text), channel="generic", **more)


@pytest.fixture(params=[0, 4])
def shards(request) -> int:
    return request.param


async def test_four_fragments_are_one_thought(connection: Connection, shards: int):
    batches = make_batches(connection, shards, quiet_ms=50)
    for text in ("Привет,", "запишите", "меня на", "стрижку"):
        await batches.add([message(text)])
    assert (await batches.hand_over()).batches == 0
    await asyncio.sleep(0.06)
    done = await batches.hand_over()
    assert (done.batches, done.messages, done.next_due_ms, done.more) == (1, 4, None, False)
    [merged] = await collected(batches)
    assert merged.text == "Привет, запишите меня на стрижку"
    assert (merged.phone, merged.count, merged.reason) == (PHONE, 4, "quiet")


async def test_the_keys_are_the_node_services(connection: Connection):
    batches = make_batches(connection)
    await batches.add([message("a", company="962302", metadata=b'{"n":9007199254740993,"e":[]}')])
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


async def test_of_twelve_at_once_ten_leave_in_that_very_call(connection: Connection, shards: int):
    batches = make_batches(connection, shards)
    results = await batches.add([message(str(i)) for i in range(12)])
    assert [one.size for one in results] == [*range(1, 11), 1, 2]
    [merged] = await collected(batches)
    assert (merged.count, merged.reason, merged.late_ms) == (10, "size", 0)
    batch = await batches.peek(PHONE)
    assert batch is not None
    assert [one.text for one in batch.messages] == ["10", "11"]


async def test_the_first_message_never_waits_longer_than_max_wait(connection: Connection):
    batches = make_batches(connection, quiet_ms=200, max_wait_ms=250)
    for i in range(4):
        await batches.add([message(str(i))])
        await asyncio.sleep(0.07)
    await asyncio.sleep(0.02)
    await batches.hand_over()
    [merged] = await collected(batches)
    assert (merged.reason, merged.count) == ("max-wait", 4)


async def test_two_companies_are_never_in_one_merged_message(connection: Connection, shards: int):
    batches = make_batches(connection, shards)
    await batches.add(
        [message("a", company="1"), message("b", company="2"), message("c", company="1"), message("d")]
    )
    merged = await collected(batches)
    assert [(one.company, one.text, one.reason) for one in merged] == [
        ("1", "a", "company"),
        ("2", "b", "company"),
        ("1", "c", "company"),
    ]


async def test_simulated_traffic_never_joins_a_persons(connection: Connection):
    batches = make_batches(connection)
    await batches.add([message("real"), message("made up", simulated=True)])
    [merged] = await collected(batches)
    assert (merged.text, merged.simulated, merged.reason) == ("real", False, "channel")


async def test_the_same_id_is_added_once_and_another_senders_is_another(connection: Connection, shards: int):
    batches = make_batches(connection, shards)
    results = await batches.add([message("a", id="1"), message("a", id="1"), message("a", "7", id="1")])
    assert [one.added for one in results] == [True, False, True]
    await batches.flush(PHONE)
    assert not (await batches.add([message("a", id="1")]))[0].added, "after the hand-over too"


async def test_what_goes_in_comes_out_to_the_byte(connection: Connection):
    batches = make_batches(connection, separator="\n")
    texts = ["😀👨‍👩‍👧", "a\nb\tc", "\u202eשלום", '","companyId":1,"metadata":', '\\"\\', "\0", "]}{"]
    metadata = b'{"id":12345678901234567890,"empty":[],"o":{},"f":1.50,"s":"\\u0000,\\"metadata\\":"}'
    await batches.add([message(text, id=str(i), metadata=metadata) for i, text in enumerate(texts)])
    await batches.flush(PHONE)
    [merged] = await collected(batches)
    assert merged.text == "\n".join(texts)
    assert [one.text for one in merged.messages] == texts
    assert all(metadata in raw for raw in merged.raw)


@pytest.mark.parametrize(
    "phone", ["a b", "*", "}{", "{17}:x", "rfctl:due", "x" * 200, "\0\n", "#" + "0" * 32, "тел"]
)
async def test_a_hostile_phone_is_a_phone_like_any_other(connection: Connection, phone: str, shards: int):
    batches = make_batches(connection, shards)
    await batches.add([message("a", phone), message("b", phone)])
    seen = await overview(connection, batches.partitions)
    assert [(one.phone, one.size) for one in seen.waiting] == [(phone, 2)]
    assert await batches.flush(phone) is not None
    [merged] = await collected(batches)
    assert (merged.phone, merged.text) == (phone, "a b")
    assert len(await connection.call("KEYS", f"rapid-fire:*{name_of(phone)}*")) == 0


async def test_two_daemons_hand_each_batch_over_once(connection: Connection, server, shards: int):
    batches = make_batches(connection, shards, quiet_ms=1)
    await batches.add([message("x", f"p{i}", id="1") for i in range(200)])
    await asyncio.sleep(0.01)
    await asyncio.gather(*(batches.hand_over(limit=7) for _ in range(60)))
    merged = await collected(batches)
    assert len(merged) == len({one.phone for one in merged}) == 200


async def test_a_batch_found_overdue_is_handed_over_counted_and_named(connection: Connection):
    batches = make_batches(connection, quiet_ms=1, stale_ms=10)
    await batches.add([message("a")])
    await asyncio.sleep(0.05)
    done = await batches.hand_over()
    [(phone, late)] = done.stale
    assert phone == PHONE
    assert late >= 10
    [merged] = await collected(batches)
    assert merged.late_ms == late
    assert (await overview(connection, batches.partitions)).totals["stale"] == 1


async def test_a_due_time_from_a_clock_that_jumped_is_pulled_in(connection: Connection):
    batches = make_batches(connection, quiet_ms=20, max_wait_ms=100)
    await batches.add([message("a")])
    now = await connection.now_ms()
    await connection.call("ZADD", "rfctl:due", now + 3_600_000, PHONE)
    assert (await batches.hand_over()).pulled_in == 1
    await asyncio.sleep(0.03)
    assert (await batches.hand_over()).batches == 1


async def test_order_sent_goes_by_the_senders_clock(connection: Connection):
    batches = make_batches(connection, order="sent")
    await batches.add([message("b", sent_ms=2000), message("a", sent_ms=1000), message("b2", sent_ms=2000)])
    await batches.flush(PHONE)
    [merged] = await collected(batches)
    assert merged.text == "a b b2"


async def test_discard_shows_what_it_throws_away_and_flush_finds_nothing_then(
    connection: Connection, shards: int
):
    batches = make_batches(connection, shards)
    await batches.add([message("a"), message("b")])
    assert len(await batches.discard(PHONE)) == 2
    assert await batches.flush(PHONE) is None
    assert await batches.peek(PHONE) is None
    seen = await overview(connection, batches.partitions)
    assert (seen.messages, seen.totals["messages_discarded"]) == (0, 2)


async def test_one_key_that_somebody_took_harms_no_neighbour(connection: Connection):
    batches = make_batches(connection, quiet_ms=1)
    await connection.call("SET", "rapid-fire:bad", "x")
    results = await batches.add([message("a", "good"), message("a", "bad"), message("a", "fine")])
    assert [(one.added, bool(one.refused)) for one in results] == [
        (True, False),
        (False, True),
        (True, False),
    ]
    await connection.call("ZADD", "rfctl:due", 1, "bad")
    await asyncio.sleep(0.01)
    assert (await batches.hand_over()).batches == 2
    assert (await overview(connection, batches.partitions)).totals["keys_taken"] == 1


async def test_what_the_node_service_left_in_a_list_is_handed_over_with_the_next_message(
    connection: Connection,
):
    batches = make_batches(connection)
    old = json.dumps({"message": "old", "companyId": 1, "metadata": {}, "timestamp": 1})
    await connection.call("RPUSH", f"rapid-fire:{PHONE}", old, "not json")
    await batches.add([message("new")])
    await batches.flush(PHONE)
    merged = await collected(batches)
    assert [one.text for one in merged] == ["old not json", "new"]
    assert json.loads(b"[" + b",".join(merged[0].raw) + b"]")[1] == "not json"


async def test_a_lost_script_is_loaded_again(connection: Connection):
    batches = make_batches(connection)
    await batches.add([message("a")])
    await connection.call("SCRIPT", "FLUSH")
    assert (await batches.add([message("b")]))[0].size == 2


async def test_out_of_memory_refuses_new_messages_and_still_hands_over(own_server):
    server = own_server("--maxmemory-policy", "noeviction")
    from rfctl.connection import Address

    connection = Connection.open(Address(server.url, "the test"))
    batches = make_batches(connection)
    await batches.add([message("a")])
    await batches.flush("nobody")
    await connection.call("CONFIG", "SET", "maxmemory", 1)
    with pytest.raises(RedisCannotNowError, match="cannot serve this now"):
        await batches.add([message("b")])
    assert await batches.flush(PHONE) is not None
    assert [one.text for one in await collected(batches)] == ["a"]
    await connection.close()


async def test_what_was_acknowledged_survives_a_kill_of_the_server(own_server):
    server = own_server()
    from rfctl.connection import Address

    connection = Connection.open(Address(server.url, "the test"))
    batches = make_batches(connection, max_size=1000)
    for i in range(50):
        await batches.add([message(str(i))])
    server.kill()
    with pytest.raises(RedisUnreachableError):
        await batches.add([message("x")])
    server.start()
    await batches.flush(PHONE)
    [merged] = await collected(batches)
    assert merged.count == 50
    await connection.close()


async def test_the_overview_of_a_million_batches_scans_nothing(connection: Connection):
    batches = make_batches(connection)
    await batches.add([message("a")])
    fill = "for i=1,1000000 do redis.call('ZADD', KEYS[1], 9e12+i, 'p'..i) end"
    slow = Connection.open(type(connection.address)(connection.address.url, "the test", timeout_ms=30_000))
    await slow.call("EVAL", fill, 1, "rfctl:due")
    await slow.close()
    await connection.call("CONFIG", "RESETSTAT")
    seen = await overview(connection, batches.partitions)
    assert seen.batches == 1_000_001
    assert [one.phone for one in seen.waiting] == [PHONE]
    used = (await connection.call("INFO", "commandstats")).decode()
    assert "cmdstat_keys" not in used
    assert "scan" not in used
