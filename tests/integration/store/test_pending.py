"""What is pending, read at the cost of what is shown, on a real server."""

from __future__ import annotations

import re
from typing import Any

import pytest

from rfctl.model.message import Message
from rfctl.store.batch_heads import read_heads
from rfctl.store.connection import Connection
from tests.support.batching import Rig, make_rig
from tests.support.clock import VirtualClock
from tests.support.keys import SHARD

LONG = "x" * 600_000


async def say(rig: Rig, *phones: str, text: str = "x", **more: Any) -> None:
    for phone in phones:
        await rig.add([Message(phone=phone, text=text, id="1", channel="generic", **more)])


async def sent_bytes(connection: Connection) -> int:
    """What the server has sent to all its clients so far."""
    stats = (await connection.call("INFO", "stats")).decode()
    return int(re.findall(r"total_net_output_bytes:(\d+)", stats)[0])


async def calls_of(connection: Connection, command: str) -> int:
    used = (await connection.call("INFO", "commandstats")).decode()
    return sum(int(count) for count in re.findall(rf"cmdstat_{command}:calls=(\d+)", used))


@pytest.mark.parametrize("shards", [0, 4])
async def test_counts_look_at_no_message(timed: Connection, clock: VirtualClock, shards: int) -> None:
    rig = make_rig(timed, shards)
    await say(rig, "1", "2", "3")
    await say(rig, "4", chat="family")
    await clock.advance(1000)
    await timed.call("CONFIG", "RESETSTAT")
    counts = await rig.store.pending_counts(limit=2)
    assert (counts.batches, counts.messages, counts.totals["messages_in"]) == (4, 4, 4)
    assert [(size, due_in_ms) for _, size, due_in_ms in counts.next_due] == [(1, 4000), (1, 4000)]
    for command in ("lindex", "lrange", "evalsha"):
        assert await calls_of(timed, command) == 0, command


async def test_summary_of_long_messages_sends_none_of_them(connection: Connection) -> None:
    rig = make_rig(connection)
    await say(rig, *"1234567", text=LONG)
    await say(rig, "8", text=LONG, chat="family")
    before = await sent_bytes(connection)
    pending = await rig.store.pending()
    assert {(batch.phone, batch.chat, batch.size) for batch in pending.next_due} == {
        *((phone, "", 1) for phone in "1234567"),
        ("8", "family", 1),
    }
    assert pending.oldest_ms is not None
    assert await sent_bytes(connection) - before < 100_000


async def test_oldest_is_the_time_of_the_first_message_of_all(timed: Connection, clock: VirtualClock) -> None:
    rig = make_rig(timed, max_wait_ms=600_000)
    began = await timed.now_ms(SHARD)
    await say(rig, "1")
    await clock.advance(10)
    await say(rig, "2")
    await rig.add([Message(phone="1", text="y", id="2", channel="generic")])
    assert (await rig.store.pending()).oldest_ms == began


async def test_call_for_heads_ends_behind_400_kilobytes(connection: Connection) -> None:
    rig = make_rig(connection)
    await say(rig, *"123456", text=LONG[:250_000])
    await connection.call("CONFIG", "RESETSTAT")
    heads = await read_heads(connection, SHARD, [*"123456", "nobody"])
    assert [head.size for head in heads.values()] == [1] * 6 + [0]
    assert await calls_of(connection, "evalsha") == 4
    assert len(await read_heads(connection, SHARD, [*"123456"], most_calls=2)) == 4


async def test_heads_of_odd_lists_are_empty(connection: Connection) -> None:
    await connection.call("SET", "rapid-fire:text", "x")
    await connection.call("RPUSH", "rapid-fire:other", "not json")
    heads = await read_heads(connection, SHARD, ["text", "other"])
    assert [(head.size, head.received_ms, head.phone) for head in heads.values()] == [(0, 0, ""), (1, 0, "")]


async def test_keys_of_a_long_index_come_page_by_page(connection: Connection) -> None:
    fill = "for i=ARGV[1],ARGV[1]+999 do redis.call('ZADD', KEYS[1], i, 'p'..i) end"
    for first in range(1, 5_001, 1_000):
        await connection.call("EVAL", fill, 1, "rfctl:due", first)
    rig = make_rig(connection)
    await connection.call("CONFIG", "RESETSTAT")
    keys = {batch_key async for batch_key in rig.store.pending_keys.iterate()}
    assert len(keys) == 5000
    assert await calls_of(connection, "zscan") >= 5
    assert await calls_of(connection, "zrange") == 0


async def test_company_as_number_and_as_text_is_one(connection: Connection) -> None:
    """Whatever form an item has: 123 and "123" are one company."""
    rig = make_rig(connection)
    await rig.add([Message(phone="1", text="a", id="1", channel="generic", company="123")])
    await rig.add([Message(phone="1", text="b", id="2", channel="generic", company=123)])
    assert await rig.collect() == []
    await rig.batches.flush("1")
    [merged] = await rig.collect()
    assert (merged.text, merged.company) == ("a b", "123")
