"""The call of the script `add`: it is told the same words, however they are packed, and its messages are split in order."""

from __future__ import annotations

import struct

from hypothesis import example, given
from hypothesis import strategies as st

from rfctl.model.message import Message
from rfctl.model.stored import encode_item
from rfctl.store import Addition, Keyspace, Terms, batch_key_of, begin_digest, end_digest, is_hashed
from rfctl.store.additions import AddSpeller, split_calls
from rfctl.store.packed import Word, unpack

COMMON = ["rapid-fire:", "last-msg:", "events", "arrival 10000  "]
[SHARD] = Keyspace(prefix="ключи:").all()

phones = st.sampled_from(["79001234567", "79007654321", "a b", "x" * 64, "x" * 65, "#" + "0" * 32])
terms = st.sampled_from(
    [Terms(60, 5, 10, 50), Terms(60, 5, 10, 50), Terms(60, 7, 10, 50), Terms(9, 5, 1, 9, "send_alone")]
)


def addition(
    phone: str, chat: str, terms: Terms, text: str, sent_ms: int | None, older_key: bytes
) -> Addition:
    message = Message(phone=phone, chat=chat, text=text, id="1", channel="generic", sent_ms=sent_ms)
    digest = end_digest(begin_digest(phone + text), "generic")
    return Addition(message, batch_key_of(phone, chat=chat), digest, terms, older_key)


additions = st.builds(
    addition,
    phones,
    st.sampled_from(["", "group"]),
    terms,
    st.one_of(st.sampled_from(["", "привет", "y" * 1000]), st.text(max_size=8)),
    st.one_of(st.none(), st.integers(0, 2**53)),
    st.sampled_from([b"", b"0123456789abcde\xff"]),
)


def list_words(additions: list[Addition]) -> tuple[list[Word], list[Word]]:
    """What lua/batches/add.lua says of its keys and arguments, word for word."""
    usual = additions[0].terms
    keys: list[Word] = [*SHARD.of_batches, SHARD.ids]
    args: list[Word] = [*COMMON, usual.dedupe_s, usual.quiet_ms, usual.max_size, usual.max_wait_ms]
    for key in dict.fromkeys(addition.batch_key for addition in additions):
        keys += [SHARD.batch_prefix + key, SHARD.last_prefix + key]
    for addition in additions:
        message, key = addition.message, addition.batch_key
        mark, place = struct.unpack(">qI", addition.dedupe_key[:12])
        is_apart = is_hashed(key) and key != message.phone
        item = encode_item(message, with_phone=is_apart)
        item += (
            b',"sentAt":null,"timestamp":'
            if message.sent_ms is None
            else f',"timestamp":{message.sent_ms}'.encode()
        )
        is_own = is_apart or addition.terms != usual or usual.action or addition.older_key
        args += [key, mark, place, item, addition.encode_own() if is_own else ""]
    return keys, args


def as_bytes(words: list[Word]) -> list[bytes]:
    return [word if isinstance(word, bytes) else str(word).encode() for word in words]


@given(st.lists(st.lists(additions, min_size=1, max_size=5), min_size=1, max_size=3))
@example([[addition("7", "", Terms(60, 5, 10, 50), "z" * size, 1, b"") for size in (900, 1000, 5000)]])
def test_call_has_the_words_that_the_script_expects(calls: list[list[Addition]]) -> None:
    speller = AddSpeller(SHARD, COMMON)
    for call in calls:
        keys, args = speller.spell(call)
        expected_keys, expected_args = list_words(call)
        assert unpack(keys) == as_bytes(expected_keys)
        assert unpack(args) == as_bytes(expected_args)


@given(st.lists(st.sampled_from([0, 1, 50_000, 131_071, 131_072, 150_000]), max_size=10), st.integers(0, 200))
def test_messages_are_split_in_order_into_calls_within_their_bounds(sizes: list[int], small: int) -> None:
    sent = [
        addition("7", "", Terms(60, 5, 10, 50), "x" * size, None, b"")
        for size in [*sizes, *[1] * small, *sizes]
    ]
    calls = split_calls(sent)
    assert [addition for call in calls for addition in call] == sent
    totals = [sum(len(addition.message.text) + 2 for addition in call) for call in calls]
    for call, total in zip(calls, totals, strict=True):
        assert len(call) == 1 or (len(call) <= 64 and total <= 131_072)
    for call, total, following in zip(calls, totals, calls[1:], strict=False):
        assert len(call) == 64 or total + len(following[0].message.text) + 2 > 131_072, (
            "no call more than needed"
        )
