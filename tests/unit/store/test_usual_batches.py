"""The two ways to read a batch, on fakeredis: a usual batch comes out the same by the way of the unusual ones."""

from __future__ import annotations

import json
from typing import Any

import fakeredis
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rfctl.model.message import Media, Message
from rfctl.model.stored import encode_item
from rfctl.store import BatchOptions, Keyspace, replies
from rfctl.store.address import RedisAddress
from rfctl.store.batch_keys import batch_key_of, is_hashed
from rfctl.store.batches import Batches
from rfctl.store.connection import Connection
from rfctl.store.scripts import Script, ScriptLibrary
from tests.support.clock import FakeredisClock

USUAL = "local batch = order == 'arrival' and read_usual(items, gap_place)\n"
TRACES = [
    "",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "x",
    "00" + "-" * 53,
    "00-" + '"' * 52,
]
TEXTS = [
    "запишите",
    "",
    " ",
    "\u00a0",
    "«a»",
    "ありがとう",
    "\u3000x",
    "a\nb",
    '\\"',
    '","companyId":1',
    f'","messageId":"1","traceparent":"{TRACES[1]}"',
    "🙏",
    "\0",
    "x" * 7000,
]
FOREIGN = [b'{"message":"old","companyId":1}', b"not json", b'{"message":"a","n":NaN}', b'{"message":"","companyId":null,"waitMs":5}']  # fmt: skip

parts = st.builds(
    lambda text, number, kind, refers, company, **more: Message(
        phone="",
        text=text,
        id=str(number),
        channel="generic",
        type=kind,
        refers=refers,
        company=company,
        **more,
    ),
    st.sampled_from(TEXTS),
    st.integers(0, 8),
    st.sampled_from(["text"] * 6 + ["edit", "deletion", "transcript", "image"]),
    st.sampled_from(["", "1", "2"]),
    st.sampled_from([None, "1", 'x","channel":"y']),
    media=st.sampled_from([(), (Media(id="m"),)]),
    traceparent=st.sampled_from([*TRACES[:2], *TRACES]),
    metadata=st.sampled_from(
        [
            b"{}",
            b'{"x":1,"traceparent":"%b","type":"text"}' % TRACES[1].encode(),
            b'{"a":{"b":1,"timestamp":1,"receivedAt":2,"waitMs":3}}',
        ]
    ),
)
UNKNOWN = 999
"""Nobody says that a message was sent then."""
times = st.tuples(
    st.sampled_from([5, UNKNOWN, 1_790_000_000_000, 1_790_000_000_001]),
    st.integers(1_790_000_000_000, 1_790_000_000_002),
)


class OneWay(ScriptLibrary):
    """Scripts that read no batch by the way of the usual ones."""

    def script(self, verb: str) -> Script:
        script = super().script(verb)
        assert USUAL in script.text
        return Script(verb, script.text.replace(USUAL, "local batch = nil\n"), script.reads_clock)


def store_of(order: Any, *, is_one_way: bool) -> tuple[Connection, Batches]:
    connection = Connection(
        fakeredis.FakeAsyncRedis(protocol=2),
        RedisAddress("fake", "the test"),
        clock=FakeredisClock(),
        shebang=False,
    )
    if is_one_way:
        connection._library = OneWay(connection.clock.include)
    return connection, Batches(connection, Keyspace(), BatchOptions(" | ", order))


def item_of(message: Message, batch_key: str, sent: int, at: int) -> bytes:
    head = encode_item(message, with_phone=is_hashed(batch_key))
    unknown = b',"sentAt":null' if sent == UNKNOWN else b""
    return head + unknown + b',"timestamp":%d,"receivedAt":%d,"waitMs":%d}' % (sent, at, at % 7)


async def hand_over(order: Any, batch_key: str, items: list[bytes], *, is_one_way: bool) -> dict[str, bytes]:
    """The fields of the entry, without those that say when it was handed over."""
    connection, batches = store_of(order, is_one_way=is_one_way)
    await connection.call("RPUSH", f"rapid-fire:{batch_key}", *items)
    await batches.flush(batch_key)
    entries = replies.stream_entries(await connection.call("XRANGE", "rfctl:out", "-", "+"))
    totals = replies.fields(await connection.call("HGETALL", "rfctl:totals"))
    await connection.close()
    fields = [word for _, words in entries for word in words]
    merged = {name.decode(): value for name, value in zip(fields[::2], fields[1::2], strict=True)}
    return merged | {f"total {name}": replies.data(value) for name, value in totals.items()}


def check_traces(fields: dict[str, bytes]) -> None:
    """The field says of each message what its item says, if that may be a trace, and is there only if one has any."""
    traces = [
        item.get("traceparent", "") if isinstance(item, dict) else ""
        for item in json.loads(fields.get("messages", b"[]"))
    ]
    valid = [trace if trace == TRACES[1] else "" for trace in traces]
    if any(valid):
        assert json.loads(fields["traceparents"]) == valid
    else:
        assert "traceparents" not in fields


def usual(text: str, number: int, at: int) -> tuple[Message, tuple[int, int]]:
    return Message(phone="", text=text, id=str(number), channel="generic"), (at, at)


async def measure(order: Any, batch_key: str, items: list[bytes], *, is_one_way: bool) -> list[list[int]]:
    """How many batches of each size were handed over, and how many gaps of each length."""
    connection, batches = store_of(order, is_one_way=is_one_way)
    await connection.call("RPUSH", f"rapid-fire:{batch_key}", *items)
    await connection.call("ZADD", "rfctl:due", 1, batch_key)
    await batches.hand_over(longest_ms=1000)
    await connection.close()
    return [batches.measures.sizes.counts, batches.measures.gaps.counts]


@settings(max_examples=150, deadline=None)
@example([usual("a", 1, 1_790_000_000_002), usual("b", 2, 1_790_000_000_000)], "79001234567", "arrival")
@given(
    st.lists(st.one_of(st.tuples(parts, times), st.sampled_from(FOREIGN)), min_size=1, max_size=5),
    st.sampled_from(["79001234567", "a b"]),
    st.sampled_from(["arrival", "sent"]),
)
async def test_batch_comes_out_the_same_by_both_ways(messages: list[Any], phone: str, order: str) -> None:
    batch_key = batch_key_of(phone)
    items = [each if isinstance(each, bytes) else item_of(each[0], batch_key, *each[1]) for each in messages]
    either = await hand_over(order, batch_key, items, is_one_way=False)
    other = await hand_over(order, batch_key, items, is_one_way=True)
    if any(isinstance(each, bytes) for each in messages):  # they arrive when they are read
        for fields in (either, other):
            for name in ("first_ms", "last_ms", "delivery_id"):
                fields.pop(name, None)
    assert either == other
    check_traces(either)
    assert either["total messages_out"] == b"%d" % len(items)
    measured = [await measure(order, batch_key, items, is_one_way=way) for way in (False, True)]
    assert measured[0] == measured[1]
    assert [sum(counts) for counts in measured[0]] == [1, len(items) - 1]
