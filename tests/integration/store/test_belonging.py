"""What belongs together stays together: an album counts as one, and a text that a client cut is whole again."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from rfctl.batching.batcher import MOST_EXTRA
from rfctl.batching.policy import Rule
from rfctl.model.message import Media, Message
from rfctl.section import build_section
from rfctl.sources.registry import SPECS
from rfctl.store.connection import Connection
from tests.support.batching import Rig, make_rig
from tests.support.clock import VirtualClock
from tests.support.waiting import PATIENCE_S

PHONE = "79001234567"
SENT_MS = 1_750_000_000_000


def photo(number: int, album: str = "A", **more: Any) -> Message:
    return Message(
        phone=PHONE, text=more.pop("text", f"[{number}]"), id=f"{album}{number}", channel="bot", type="image",
        media=(Media(id=str(number)),), album=album, metadata=b'{"raw":{"album":"B","x":",\\"album\\":\\"C\\""}}', **more,
    )  # fmt: skip


def text(words: str, **more: Any) -> Message:
    return Message(phone=PHONE, text=words, id=more.pop("id", words), channel="bot", **more)


def update(number: int, **fields: Any) -> list[Message]:
    """What the source telegram makes of a message of one person."""
    post = {
        "message_id": number, "from": {"id": 7, "first_name": "Ann"}, "chat": {"id": 7, "type": "private"},
        "date": SENT_MS // 1000, **fields,
    }  # fmt: skip
    config = build_section(SPECS["telegram"].config, {"type": "telegram", "secrets": ["s"]}, "")
    source = SPECS["telegram"].build_source("bot", config, 65_536)
    return source.parse(json.dumps({"update_id": number, "message": post}).encode()).messages


async def hand_over(rig: Rig, clock: VirtualClock, ms: int) -> list[str]:
    await clock.advance(ms)
    await rig.hand_over()
    return [merged.text for merged in await rig.collect()]


@pytest.mark.parametrize("shards", [0, 4])
async def test_ten_photos_and_the_words_behind_them_are_one_merged_message(
    timed: Connection, clock: VirtualClock, shards: int
) -> None:
    rig = make_rig(timed, shards, quiet_ms=700)
    for number in range(10):
        file = {"file_id": f"f{number}", "width": 1, "height": 1}
        await rig.add(update(number, photo=[file], media_group_id="135", caption=f"p{number}"))
    await clock.advance(100)
    [added] = await rig.add(update(10, text="how much?"))
    assert (added.size, added.due_in_ms) == (11, 700)
    assert await hand_over(rig, clock, 699) == []
    assert await hand_over(rig, clock, 1) == ["p0 p1 p2 p3 p4 p5 p6 p7 p8 p9 how much?"]
    [merged] = await rig.collect()
    assert (merged.reason, {message.album for message in merged.messages}) == ("quiet", {"135", ""})


async def test_album_counts_as_one_and_the_batch_is_full_with_the_others(timed: Connection) -> None:
    rig = make_rig(timed, max_size=3)
    await rig.add([photo(number) for number in range(5)])
    await rig.add([photo(number, "B") for number in range(5)])
    assert await rig.collect() == []
    [added] = await rig.add([text("third")])
    [merged] = await rig.collect()
    assert (merged.count, merged.reason, added.due_in_ms) == (11, "size", 0)


async def test_batch_that_is_full_does_not_end_inside_an_album(timed: Connection) -> None:
    rig = make_rig(timed, max_size=2)
    await rig.add([text("before")])
    for number in range(4):
        await rig.add([photo(number)])
    assert await rig.collect() == []
    await rig.add([text("behind")])
    assert [merged.count for merged in await rig.collect()] == [6]


async def test_longest_wait_does_not_end_inside_an_album(timed: Connection, clock: VirtualClock) -> None:
    rig = make_rig(timed, quiet_ms=500, max_wait_ms=1000)
    await rig.add([text("look")])
    await clock.advance(400)
    await rig.add([text("here")])
    await clock.advance(400)
    await rig.add([photo(1)])
    assert await hand_over(rig, clock, 300) == []
    await rig.add([photo(2)])
    assert await hand_over(rig, clock, 399) == []
    assert await hand_over(rig, clock, 1) == ["look here [1] [2]"], "at most max_wait_ms and quiet_ms"


async def test_album_that_never_ends_does_not_hold_a_batch_for_ever(timed: Connection) -> None:
    rig = make_rig(timed, max_size=5, quiet_ms=60_000)
    for start in range(0, 400, 50):
        await rig.add([photo(number) for number in range(start, start + 50)])
    counts = [merged.count for merged in await rig.collect()]
    assert counts[0] <= 5 + 2 * MOST_EXTRA, counts
    assert {merged.reason for merged in await rig.collect()} == {"size"}


async def test_pictures_without_an_album_count_one_by_one(timed: Connection) -> None:
    rig = make_rig(timed, max_size=3)
    await rig.add([photo(number, "") for number in range(3)])
    assert [merged.count for merged in await rig.collect()] == [3]


async def test_rule_that_sends_a_picture_at_once_is_stronger_than_its_album(timed: Connection) -> None:
    rig = make_rig(timed, 0, [Rule("pictures", types=frozenset({"image"}), action="send_batch")])
    await rig.add([photo(1), photo(2)])
    assert [merged.count for merged in await rig.collect()] == [1, 1]


async def test_follower_hears_when_a_batch_with_an_album_is_due(timed: Connection) -> None:
    rig = make_rig(timed, max_size=3, quiet_ms=700)
    subscribed, heard = asyncio.Event(), []

    async def listen() -> None:
        async for event in rig.store.events(subscribed):
            heard.append(json.loads(event))
            if len(heard) == 5:
                return

    task = asyncio.create_task(listen())
    await asyncio.wait_for(subscribed.wait(), PATIENCE_S)
    await rig.add([photo(1), photo(2), text("words"), text("more")])
    await asyncio.wait_for(task, PATIENCE_S)
    assert [(event["event"], event.get("due_in_ms")) for event in heard] == [
        ("in", 700), ("in", 700), ("in", 700), ("in", 0), ("out", None),
    ]  # fmt: skip


async def test_paste_that_the_client_cut_is_whole_again(timed: Connection, clock: VirtualClock) -> None:
    rig = make_rig(timed, quiet_ms=700)
    first = "x" * 4092 + "repl"
    await rig.add(update(1, text=first))
    await clock.advance(100)
    await rig.add(update(2, text="acement of the pump"))
    await rig.add(update(3, text="please"))
    assert await hand_over(rig, clock, 700) == [f"{first}acement of the pump please"]


@pytest.mark.parametrize(
    ("rest", "wait_ms", "joined"),
    [
        (text("rest", sent_ms=SENT_MS + 1000), 1000, "cutrest"),
        (text("rest", sent_ms=SENT_MS + 1001), 0, "cut rest"),
        (text("rest", sent_ms=SENT_MS - 1), 0, "cut rest"),
        (text("rest", sent_ms=SENT_MS), 1001, "cut rest"),
        (photo(1, "", text="rest", sent_ms=SENT_MS), 0, "cut rest"),
    ],
    ids=["at once", "sent later", "sent before", "came later", "a picture"],
)
async def test_rest_of_a_text_is_a_text_that_came_at_once(
    timed: Connection, clock: VirtualClock, rest: Message, wait_ms: int, joined: str
) -> None:
    rig = make_rig(timed)
    await rig.add([text("cut", cut=True, sent_ms=SENT_MS)])
    await clock.advance(wait_ms)
    await rig.add([rest])
    await rig.drain()
    assert [merged.text for merged in await rig.collect()] == [joined]


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize("traceparent", ["", TRACE])
async def test_text_in_three_parts_is_one_also_with_a_trace(timed: Connection, traceparent: str) -> None:
    rig = make_rig(timed, order="sent")
    parts = [
        text(words, id=words, cut=cut, sent_ms=SENT_MS, traceparent=traceparent)
        for words, cut in (('a"b', True), ("c\\d", True), ("e", False), ("f", False))
    ]
    await rig.add(parts)
    await rig.drain()
    [merged] = await rig.collect()
    assert (merged.text, merged.traceparents) == ('a"bc\\de f', (traceparent,) * 4 if traceparent else ())


async def test_text_that_was_edited_is_no_part_any_more(timed: Connection) -> None:
    rig = make_rig(timed)
    await rig.add([text("cut", id="1", cut=True, sent_ms=SENT_MS), text("rest", sent_ms=SENT_MS)])
    await rig.add([text("whole", id="2", type="edit", refers="1", sent_ms=SENT_MS)])
    await rig.drain()
    assert [merged.text for merged in await rig.collect()] == ["whole rest"]


async def test_batch_that_is_full_does_not_end_inside_a_text(timed: Connection) -> None:
    rig = make_rig(timed, max_size=1)
    await rig.add([text("cut", cut=True, sent_ms=SENT_MS), text("rest", sent_ms=SENT_MS)])
    assert [(merged.text, merged.reason) for merged in await rig.collect()] == [("cutrest", "size")]


def evolution(event: str, data: dict[str, Any]) -> list[Message]:
    config = build_section(SPECS["evolution"].config, {"type": "evolution", "secrets": ["s"]}, "")
    source = SPECS["evolution"].build_source("wa", config, 65_536)
    return source.parse(json.dumps({"event": event, "instance": "i", "data": data}).encode()).messages


async def test_message_that_its_author_deletes_within_the_wait_is_not_handed_over(
    timed: Connection, clock: VirtualClock
) -> None:
    rig = make_rig(timed, quiet_ms=700)
    key = {"remoteJid": "5511977770001@s.whatsapp.net", "fromMe": False, "id": "EX1"}
    await rig.add(evolution("messages.upsert", {"key": key, "message": {"conversation": "wrong chat"}}))
    await clock.advance(300)
    await rig.add(evolution("messages.delete", key))
    assert await hand_over(rig, clock, 700) == []
    totals = (await rig.store.pending()).totals
    assert (totals["reason:empty"], totals["messages_out"], totals.get("merged", 0)) == (1, 2, 0)


async def test_message_of_waha_counts_once_under_all_spellings_of_its_chat(
    timed: Connection, clock: VirtualClock
) -> None:
    config = build_section(SPECS["waha"].config, {"type": "waha", "secrets": ["s"]}, "")
    source = SPECS["waha"].build_source("wa", config, 65_536)
    rig = make_rig(timed, quiet_ms=700)
    number, hidden = "5511977770001@c.us", "998877@lid"
    for chat, own_id, other in ((number, "AC00", hidden), (number, "AC2A", ""), (hidden, "AC2A", "")):
        info = {"Chat": chat, "Sender": chat, "SenderAlt": other, "ID": own_id}
        payload = {
            "id": f"false_{chat}_{own_id}", "timestamp": SENT_MS // 1000, "from": chat, "fromMe": False, "body": own_id,
            "hasMedia": False, "_data": {"Info": info},
        }  # fmt: skip
        sent = json.dumps({"event": "message", "session": "default", "payload": payload}).encode()
        await rig.add(source.parse(sent).messages)
    assert await hand_over(rig, clock, 700) == ["AC00 AC2A"]
