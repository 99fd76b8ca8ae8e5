"""Somebody who watches sees who waits and what happened, and each look costs little."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from rfctl.model.message import Message
from rfctl.observe.watching import Watcher
from rfctl.store import ConfiguredSink, LoggedDelivery, batch_key_of
from rfctl.store.batch_heads import TEXT_BYTES
from rfctl.store.connection import Connection
from tests.support.batching import Rig, make_rig
from tests.support.waiting import until

YEAR_MS = 365 * 86_400_000
OLD = (
    '{"message":"x","companyId":null,"channel":"salon","messageId":"1","type":"text","metadata":{},"timestamp":1,'
    '"receivedAt":1,"waitMs":1}'
)
CRM = ConfiguredSink("crm", "http", "rfctl:crm")


def say(phone: str, text: str, number: int = 1, **more: Any) -> Message:
    return Message(phone=phone, text=text, id=f"{phone} {number}", channel="salon", **more)


class Steps:
    """A clock that stands until the test moves it."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


async def count_calls(connection: Connection) -> dict[str, int]:
    used = (await connection.call("INFO", "commandstats")).decode()
    return {name: int(count) for name, count in re.findall(r"cmdstat_([\w|]+):calls=(\d+)", used)}


@pytest.mark.parametrize("shards", [0, 3])
async def test_row_has_who_waits_where_and_how_the_first_text_begins(
    connection: Connection, shards: int
) -> None:
    rig = make_rig(connection, shards)
    await rig.add([say("7900", "Привет", 1, account="main"), say("7900", "мне", 2, account="main")])
    await rig.add([say("7901", "hi", chat="family")])
    await rig.store.holds.hold(batch_key_of("7900"), "7900", for_ms=600_000, by="operator")
    waiting = (await Watcher(rig.store, []).look()).waiting
    rows = {row.phone: row for row in waiting.rows}
    first, second = rows["7900"], rows["7901"]
    assert (first.text, first.size, first.source, first.account) == ("Привет", 2, "salon", "main")
    assert (first.chat, first.is_held, first.batch_key) == ("", True, "7900")
    assert (second.text, second.chat, second.is_held) == ("hi", "family", False)
    assert first.waited_ms is not None
    assert (waiting.batches, waiting.messages, waiting.held, waiting.beyond) == (2, 3, 1, 0)


@pytest.mark.parametrize(
    "text",
    ["я" * 5000, "a" + "я" * 5000, 'x"' * 5000, "a\n" * 5000, "😀" * 5000, "a😀" * 5000],
    ids=["two bytes", "odd", "quotes", "lines", "four bytes", "five"],
)
async def test_long_text_is_cut_between_characters(connection: Connection, text: str) -> None:
    rig = make_rig(connection)
    await rig.add([say("7900", text)])
    [batch] = (await rig.store.pending()).next_due
    assert text.startswith(batch.text)
    assert len(batch.text) > TEXT_BYTES // 5


async def test_text_of_another_program_is_shown_too(connection: Connection) -> None:
    rig = make_rig(connection)
    await connection.call("RPUSH", "rapid-fire:7900", b'{"message":"a \xc3\x28 b"}')
    await connection.call("RPUSH", "rapid-fire:7901", b'{"message":"hello"}')
    await connection.call("ZADD", "rfctl:due", 1, "7900", 2, "7901")
    texts = [batch.text for batch in (await rig.store.pending()).next_due]
    assert texts[1] == "hello"
    assert texts[0].startswith("a ")


async def test_last_lines_come_newest_first_and_go_on(connection: Connection) -> None:
    rig = make_rig(connection, 2)
    watcher = Watcher(rig.store, [])
    assert (await watcher.look()).last == ()
    await hand_over(rig, "7900", 3)
    assert [line.line.partition(",")[0] for line in (await watcher.look()).last] == ["3→1 flush"]
    log, shard = rig.store.delivery_log, rig.shards[0]
    await log.write(shard, LoggedDelivery(0, "7900", "crm", "1-0", "delivered", 2, 8))
    written_ms = await rig.store.now_ms()

    async def has_gone_on() -> bool:
        return await rig.store.now_ms() > written_ms

    await until(has_gone_on)
    await rig.add([say("7901", "x")])
    last = (await watcher.look()).last
    assert [(line.kind, line.phone) for line in last] == [
        ("in", "7901"),
        ("delivered", "7900"),
        ("out", "7900"),
    ]
    assert [line.line for line in last][:2] == ["1 waiting", "crm delivered in 8 ms, attempt 2"]


async def hand_over(rig: Rig, phone: str, count: int) -> None:
    await rig.add([say(phone, "x", number) for number in range(count)])
    assert await rig.batches.flush(batch_key_of(phone))


async def test_flood_leaves_thirty_lines(connection: Connection) -> None:
    rig = make_rig(connection, 5)
    watcher = Watcher(rig.store, [], limit=0)
    for number in range(60):
        await hand_over(rig, f"79{number:02}", 1)
    assert len((await watcher.look()).last) == 30


async def test_dear_parts_are_read_every_five_seconds(connection: Connection) -> None:
    rig, clock = make_rig(connection), Steps()
    watcher = Watcher(rig.store, [CRM], clock=clock)

    async def find_commands() -> set[str]:
        await connection.call("CONFIG", "RESETSTAT")
        await watcher.look()
        return {name for name in await count_calls(connection) if name != "config|resetstat"}

    whole = await find_commands()
    clock.now_s = 4.9
    cheap = await find_commands()
    clock.now_s = 5.0
    assert "config|get" in whole
    assert "config|get" not in cheap
    assert await find_commands() >= {"config|get"}


async def test_cheap_look_sees_what_is_new(connection: Connection) -> None:
    rig = make_rig(connection)
    watcher = Watcher(rig.store, [CRM], clock=Steps())
    await watcher.look()
    await rig.add([say("7900", "x")])
    await rig.store.paused_sinks.pause("crm", "moving")
    await connection.call("XADD", "rfctl:dead", "*", "sink", "crm")
    overview = await watcher.look()
    assert (overview.waiting.batches, overview.flow.dead) == (1, 1)
    assert overview.sinks[0].is_paused


@pytest.mark.parametrize("shards", [0, 3])
async def test_dead_letters_are_counted_by_sink_when_their_number_changes(
    connection: Connection, shards: int
) -> None:
    rig = make_rig(connection, shards)
    watcher = Watcher(rig.store, [replace(CRM, name=name) for name in ("crm", "bot")], clock=Steps())

    async def count() -> list[int]:
        return [sink.dead for sink in (await watcher.look()).sinks]

    assert await count() == [0, 0]
    for sink in ("crm", "crm", "bot"):
        await bury(connection, rig.shards[-1].dead, sink)
    assert await count() == [2, 1]
    await connection.call("DEL", rig.shards[-1].dead)
    assert await count() == [0, 0]


async def bury(connection: Connection, key: str, sink: str) -> None:
    await connection.call("XADD", key, "*", "sink", sink, "id", "1-0", "tries", "[]", "phone", "7900")


async def test_oldest_among_many_is_that_of_the_last_five_seconds(connection: Connection) -> None:
    rig, clock = make_rig(connection), Steps()
    watcher = Watcher(rig.store, [], clock=clock, limit=5)
    await rig.add([say(f"8{number:03}", "x") for number in range(150)])
    await connection.call("RPUSH", "rapid-fire:old", OLD)
    await connection.call("ZADD", "rfctl:due", 9e12, "old")

    async def is_old() -> bool:
        return ((await watcher.look()).waiting.oldest_ms or 0) > YEAR_MS

    assert await is_old()
    await connection.call("DEL", "rapid-fire:old")
    await connection.call("ZREM", "rfctl:due", "old")
    assert await is_old()
    clock.now_s = 5
    assert not await is_old()
