"""A merged message says when its oldest message was sent, whichever way its batch is read."""

from __future__ import annotations

from typing import Any

import pytest

from rfctl.model.message import Message
from rfctl.model.stored import Merged
from rfctl.store.connection import Connection
from tests.support.batching import make_rig

SENT_MS = 1_750_000_000_000


def message(number: int, sent_ms: int | None, **more: Any) -> Message:
    fields: dict[str, Any] = {"text": f"words {number}", "metadata": b'{"a":null}'} | more
    return Message(phone="79001234567", id=str(number), channel="generic", sent_ms=sent_ms, **fields)


async def merge(connection: Connection, *messages: Message, order: Any = "arrival") -> Merged:
    rig = make_rig(connection, order=order)
    await rig.add(messages)
    await rig.drain()
    [merged] = await rig.collect()
    return merged


@pytest.mark.parametrize("order", ["arrival", "sent"])
@pytest.mark.parametrize(
    ("sent", "oldest"),
    [
        ([SENT_MS + 5, SENT_MS, SENT_MS + 9], SENT_MS),
        ([None, SENT_MS, None], SENT_MS),
        ([None, None], None),
        ([0, SENT_MS], 0),
        ([999_999, SENT_MS], 999_999),
    ],
)
async def test_oldest_sent_is_the_least_that_is_known(
    connection: Connection, order: str, sent: list[int | None], oldest: int | None
) -> None:
    merged = await merge(connection, *(message(*pair) for pair in enumerate(sent)), order=order)
    assert merged.oldest_sent_ms == oldest


async def test_oldest_sent_counts_a_picture_without_words(connection: Connection) -> None:
    picture = message(1, SENT_MS, text="", type="image")
    assert (await merge(connection, message(0, SENT_MS + 7), picture)).oldest_sent_ms == SENT_MS


async def test_stored_message_says_that_nobody_knows_when_it_was_sent(connection: Connection) -> None:
    merged = await merge(connection, message(0, None), message(1, SENT_MS))
    assert [b'"sentAt":null' in raw for raw in merged.raw] == [True, False]
    first, second = merged.messages
    assert first.timestamp == first.receivedAt
    assert second.timestamp == SENT_MS
