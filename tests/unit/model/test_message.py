from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfctl.model.company import Company, decode_company, encode_company, format_company, restore_company
from rfctl.model.message import Message, is_blank, normalize_phone, with_placeholder
from rfctl.model.stored import as_strict_json, decode_item, decode_merged, encode_item
from rfctl.store.batch_keys import batch_key_of, dedupe_key, is_plain
from rfctl.store.keys import Keyspace


@pytest.mark.parametrize(
    "written",
    [
        "+7 900 123-45-67",
        "79001234567@c.us",
        "79001234567",
        "7 (900) 123.45.67",
        "79001234567@s.whatsapp.net",
        " 79001234567\n",
    ],
)
def test_all_spellings_of_one_person_are_one(written: str) -> None:
    assert normalize_phone(written) == "79001234567"


@pytest.mark.parametrize("written", ["12345@lid", "user_7", "-100123", "анна", "7900@g.us", "a.b-c"])
def test_sender_that_is_no_number_stays_unchanged(written: str) -> None:
    assert normalize_phone(written) == written


@given(st.text())
def test_normalizing_twice_changes_nothing_more_for_digits(text: str) -> None:
    phone = normalize_phone(text)
    if phone.isdigit() and phone.isascii():
        assert normalize_phone(phone) == phone


@given(st.text(min_size=1, max_size=300), st.integers(1, 64))
def test_a_hostile_phone_names_no_key_of_ours_and_stays_in_its_slot(phone: str, shards: int) -> None:
    name = batch_key_of(phone)
    assert is_plain(name) or (name.startswith("#") and len(name) == 33)
    space = Keyspace(shards)
    shard = space.all()[space.index_of(name)]
    key = shard.batch_prefix + name
    assert key.startswith("rapid-fire:{")
    assert key.count("{") == key.count("}") == 1


def test_a_plain_phone_can_never_look_like_a_hash() -> None:
    assert not is_plain("#" + "0" * 32)
    assert batch_key_of("#" + "0" * 32) != "#" + "0" * 32


@given(st.text(), st.text(max_size=50), st.one_of(st.none(), st.text(max_size=20)), st.text(max_size=30))
def test_item_of_any_text_reads_back(text: str, message_id: str, company: str | None, kind: str) -> None:
    text, message_id, kind = (part.encode(errors="replace").decode() for part in (text, message_id, kind))
    company = company.encode(errors="replace").decode() if company is not None else None
    message = Message(phone="p", text=text, id=message_id, channel="generic", company=company, type=kind)
    raw = encode_item(message, with_phone=True) + b',"timestamp":1,"receivedAt":2,"waitMs":3}'
    back = decode_item(raw)
    assert (back.text, back.messageId, back.type, back.waitMs) == (text, message_id, kind, 3)
    literal = raw[len(b'{"message":') : raw.index(b'","companyId":') + 1]
    assert json.loads(literal) == text, "the scripts find the text by this very search"


COMPANIES = [962302, 0, -1, "962302", "0123", 2**53 + 1, 10**40, "9" * 17, "salon", None]


@pytest.mark.parametrize("company", COMPANIES)
def test_company_leaves_as_it_came_in_every_stored_form(company: Company) -> None:
    message = Message(phone="p", text="x", id="1", channel="c", company=company)
    item = encode_item(message, with_phone=False) + b"}"
    assert decode_item(item).company == company
    assert type(decode_item(item).company) is type(company)
    fields = {"company": format_company(company).encode(), "messages": b"[" + item + b"]"}
    merged = decode_merged("1-0", fields)
    assert merged.company == company
    assert type(merged.company) is type(company)


def test_a_company_is_stored_as_json() -> None:
    assert [encode_company(company) for company in (962302, "962302", None)] == [
        b"962302",
        b'"962302"',
        b"null",
    ]
    assert encode_company(10**40) == str(10**40).encode()


@pytest.mark.parametrize(
    "item", [b"", b"{}", b'{"companyId":5}', b'"text"', b"[" * 2_000, b'{"companyId":[]}']
)
def test_company_of_a_merged_message_is_text_where_its_first_item_does_not_say(item: bytes) -> None:
    assert restore_company("7", item) == "7"
    assert restore_company("", item) is None


def test_an_empty_company_is_none() -> None:
    assert [decode_company(company) for company in ("", None, 0, "0")] == [None, None, 0, "0"]


def test_dedupe_key_is_for_one_sender_and_one_company() -> None:
    keys = {dedupe_key(*scope) for scope in [("a", "", "1"), ("b", "", "1"), ("a", "9", "1"), ("a", "", "2")]}
    assert len(keys) == 4
    assert all(len(key) == 16 for key in keys)


def test_batch_keys_of_chats_differ_and_cannot_be_forged() -> None:
    names = {
        batch_key_of("7"),
        batch_key_of("7", chat="g"),
        batch_key_of("7", chat="h"),
        batch_key_of("7", account="g"),
        batch_key_of("7", company="g"),
        batch_key_of('["7", "g", "", ""]'),
        batch_key_of("&" + batch_key_of("7", chat="g")[1:]),
    }
    assert len(names) == 7


def test_item_of_another_program_is_shown_and_not_lost() -> None:
    assert decode_item(b"what is this").text == "what is this"
    assert decode_item(b'{"message":"hi","companyId":1}').text == "hi"


@pytest.mark.parametrize("name", ["metadata", "media", "other"])
def test_item_that_is_nested_too_deeply_is_shown_and_not_lost(name: str) -> None:
    deep = b'{"message":"hi","' + name.encode() + b'":' + b"[" * 50_000 + b"]" * 50_000 + b"}"
    shown = decode_item(deep)
    assert (shown.type, shown.text) == ("unreadable", deep.decode())


def test_metadata_travels_untouched() -> None:
    raw = b'{"big":9007199254740993,"empty":[],"e":1.50}'
    item = (
        encode_item(Message(phone="p", text="x", id="1", channel="c", metadata=raw), with_phone=False) + b"}"
    )
    assert raw in item
    assert bytes(decode_item(item).metadata) == raw
    assert msgspec.json.decode(item)


@pytest.mark.parametrize("text", ["", " ", "\n\t ", "\u200b", "\u2800\u3164", "\ufeff \u200e"])
def test_a_text_without_anything_to_read_is_blank(text: str) -> None:
    assert is_blank(text)


@pytest.mark.parametrize("text", ["a", " . ", "\U0001f44d", "\u200d0", "5"])
def test_a_text_with_anything_to_read_is_not_blank(text: str) -> None:
    assert not is_blank(text)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("image", "[image]"),
        ("voice", "[voice]"),
        ("edit", ""),
        ("deletion", ""),
        ("reaction", ""),
        ("text", ""),
    ],
)
def test_a_placeholder_stands_for_a_message_and_not_for_what_takes_words_away(kind: str, text: str) -> None:
    message = Message(phone="p", text="", id="1", channel="c", type=kind)
    assert with_placeholder(message, "[{type}]").text == text


@pytest.mark.parametrize("raw", [b'{"message":"a","x":1e999}', b"no JSON", b"\xff", b"[" * 3_000])
def test_item_that_a_strict_reader_refuses_is_a_string_in_every_json(raw: bytes) -> None:
    assert json.loads(as_strict_json(raw)) == raw.decode(errors="replace")
    assert decode_item(raw).type == "unreadable"


def test_item_that_every_reader_takes_keeps_its_bytes() -> None:
    raw = b'{"message":"1e999", "x": 1e30, "id":"3E99"}'
    assert as_strict_json(raw) is raw
