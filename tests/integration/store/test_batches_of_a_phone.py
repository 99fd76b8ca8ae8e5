"""Every pending batch of one phone is found on a real server, whatever keeps its batches apart."""

from __future__ import annotations

from typing import Any

import pytest

from rfctl.model.message import Message
from rfctl.store.batch_keys import batch_key_of
from rfctl.store.connection import Connection
from tests.support.batching import Rig, make_rig
from tests.support.clock import VirtualClock
from tests.support.keys import SHARD

PHONE, OTHER = "79001234567", "79990000000"


async def say(batches: Rig, text: str, phone: str = PHONE, **more: Any) -> None:
    await batches.add([Message(phone=phone, text=text, id=text, channel="generic", **more)])


@pytest.fixture(params=[0, 4])
async def batches(request: pytest.FixtureRequest, timed: Connection, clock: VirtualClock) -> Rig:
    """Three batches of one phone, 1 ms apart: two by account, one in a group. And a batch of another phone."""
    rig = make_rig(timed, request.param, split_by=frozenset({"account"}))
    await say(rig, "first", account="sales")
    await clock.advance(1)
    await say(rig, "second", account="help", chat="family")
    await clock.advance(1)
    await say(rig, "third", account="help")
    await say(rig, "not mine", OTHER, account="sales", chat="family")
    return rig


async def texts(batches: Rig, names: list[str]) -> list[str]:
    peeked = [await batches.batches.peek(name) for name in names]
    return [batch.messages[0].text for batch in peeked if batch is not None]


async def test_every_batch_of_a_phone_is_found_the_oldest_first(batches: Rig) -> None:
    assert await texts(batches, await batches.batches.find_batches(PHONE)) == ["first", "second", "third"]
    assert await batches.batches.find_batches("nobody") == []


async def test_chat_option_narrows_the_search(batches: Rig) -> None:
    assert await texts(batches, await batches.batches.find_batches(PHONE, "family")) == ["second"]
    assert await texts(batches, await batches.batches.find_batches(PHONE, "")) == ["first", "third"]
    assert await batches.batches.find_batches(PHONE, "work") == []


@pytest.mark.parametrize("phone", [PHONE, "p 1"])
async def test_batch_of_a_phone_alone_is_found_without_the_index(connection: Connection, phone: str) -> None:
    batches = make_rig(connection)
    await say(batches, "x", phone)
    await connection.call("DEL", "rfctl:due")
    assert await batches.batches.find_batches(phone) == [batch_key_of(phone)]


async def test_long_index_of_other_batches_is_not_read(connection: Connection) -> None:
    batches = make_rig(connection)
    await say(batches, "x", chat="family")
    fill = (
        "for i=ARGV[2],ARGV[2]+999 do redis.call('ZADD', KEYS[1], i, ARGV[1]..string.format('%032x', i)) end"
    )
    for first in range(1, 30_001, 1_000):  # in short calls: a long one would run into the timeout
        await connection.call("EVAL", fill, 1, "rfctl:due", "&", first)
    await connection.call("CONFIG", "RESETSTAT")
    assert await batches.batches.find_batches(PHONE) == [batch_key_of(PHONE, chat="family")]
    used = (await connection.call("INFO", "commandstats")).decode()
    assert not any(verb in used for verb in ("cmdstat_keys", "scan:", "cmdstat_zrange:"))


@pytest.mark.parametrize("end", ["hand over", "discard", "flush"])
async def test_index_of_phones_keeps_nothing_of_a_batch_that_has_left(
    timed: Connection, clock: VirtualClock, end: str
) -> None:
    batches = make_rig(timed)
    await say(batches, "x", chat="family")
    key = batch_key_of(PHONE, chat="family")
    assert await timed.call("ZCARD", SHARD.phones) == 1
    await clock.advance(5000)
    if end == "hand over":
        await batches.hand_over()
    elif end == "discard":
        await batches.batches.discard(key)
    else:
        await batches.batches.flush(key)
    assert await timed.call("ZCARD", SHARD.phones) == 0


async def test_phones_with_the_separator_in_them_are_kept_apart(connection: Connection) -> None:
    batches = make_rig(connection)
    await say(batches, "mine", "a", chat="family")
    await say(batches, "not mine", "a\0&b", chat="family")
    await say(batches, "not mine either", "a\0b", chat="family")
    assert await texts(batches, await batches.batches.find_batches("a")) == ["mine"]
    assert await texts(batches, await batches.batches.find_batches("a\0&b")) == ["not mine"]
