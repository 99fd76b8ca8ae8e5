"""What all sources are made of: times, types, what can be stored, what is left out; pure."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfctl.model.message import Message
from rfctl.sources.contract import UnparsedError
from rfctl.sources.parsing import check_limits, normalize_type, parse_unix_ms, strip_fields
from tests.support.recorded import ANY_JSON

HEAVY = frozenset({"picture", "_data"})


def message(**fields: Any) -> Message:
    return Message(**{"phone": "7900", "text": "hi", "id": "a", "channel": "shop", **fields})


@pytest.mark.parametrize(
    ("written", "ms"),
    [
        (1767225600, 1767225600000),
        (1767225600123, 1767225600123),
        ("1767225600.853", 1767225600853),
        (1, 1000),
    ],
)
def test_a_time_is_read_in_seconds_and_in_ms(written: float | str, ms: int) -> None:
    assert parse_unix_ms(written) == ms


@pytest.mark.parametrize(
    "written",
    [
        *(None, "", "soon", 0, -1, 1e15, True, False, 10**400, -(10**5000), "9" * 5000, [], {}),
        *(float("nan"), float("inf"), float("-inf"), "nan", "inf", "1e999"),
    ],
    ids=lambda written: type(written).__name__,
)
def test_value_that_is_no_time_is_none(written: Any) -> None:
    assert parse_unix_ms(written) is None


@given(st.integers() | st.floats() | st.text() | st.booleans() | st.none())
def test_any_value_is_a_time_that_can_be_stored_or_none(written: Any) -> None:
    ms = parse_unix_ms(written)
    assert ms is None or 0 <= ms < 1e15


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"phone": ""}, "no sender"),
        ({"id": ""}, "no id"),
        ({"phone": "1" * 257}, "the phone is longer than 256 characters"),
        ({"id": "1" * 257}, "the id is longer than 256 characters"),
        ({"chat": "1" * 257}, "the chat is longer than 256 characters"),
        ({"account": "1" * 257}, "the account is longer than 256 characters"),
        ({"company": "1" * 65}, "the company is longer than 64 characters"),
        ({"refers": "1" * 257}, "the id that it refers to is longer than 256 characters"),
        ({"text": "x" * 101}, "the text is longer than 100 bytes"),
        ({"text": "ж" * 51}, "the text is longer than 100 bytes"),
    ],
)
def test_message_over_the_limits_has_a_reason(fields: dict[str, str], why: str) -> None:
    with pytest.raises(UnparsedError) as problem:
        check_limits(message(**fields), 100)
    assert problem.value.fact == why


@pytest.mark.parametrize(
    "fields",
    [
        {"text": ""},
        {"text": "ж" * 50},
        {"company": "c" * 64},
        dict.fromkeys(("phone", "id", "chat"), "1" * 256),
    ],
)
def test_a_message_within_the_limits_is_returned_as_it_is(fields: dict[str, str]) -> None:
    item = message(**fields)
    assert check_limits(item, 100) is item


@pytest.mark.parametrize(
    ("name", "tidied"),
    [
        ("viewOnceMessage", "viewoncemessage"),
        ("Groups_V4 Invite!", "groups_v4_invite"),
        ("a-b", "a-b"),
        ("x" * 40, "x" * 32),
        ("заказ", "unsupported"),
        ("", "unsupported"),
    ],
)
def test_a_type_is_tidied_to_plain_letters(name: str, tidied: str) -> None:
    assert normalize_type(name) == tidied


@given(st.text())
def test_tidying_a_type_twice_changes_nothing_more(name: str) -> None:
    tidied = normalize_type(name)
    assert tidied == normalize_type(tidied)
    assert 0 < len(tidied) <= 32


def test_strip_fields_keeps_the_bytes_of_every_other_value() -> None:
    raw = b'{"a":1.50,"picture":"/9j/","in":[{"_data":{"b":1},"big":123456789012345678901}],"as it":  {"is": 1}}'
    assert strip_fields(raw, HEAVY) == (b'{"a":1.50,"in":[{"big":123456789012345678901}],"as it":{"is": 1}}')


@pytest.mark.parametrize(
    "raw", [b'{"a": [1,  2]}', b"5", b'"picture"', b"null", b'{"text":"a \\"picture\\""}']
)
def test_without_anything_heavy_the_json_means_the_same(raw: bytes) -> None:
    assert json.loads(strip_fields(raw, HEAVY)) == json.loads(raw)


@given(ANY_JSON)
def test_stripping_heavy_fields_keeps_everything_else(value: Any) -> None:
    raw = json.dumps({"kept": value, "picture": value}).encode()
    assert json.loads(strip_fields(raw, HEAVY | {"\0"})) == json.loads(json.dumps({"kept": value}))


@pytest.mark.parametrize("depth", [31, 33, 300])
def test_json_that_is_nested_deeply_is_no_crash(depth: int) -> None:
    raw = b'{"picture":1,"a":' * depth + b"1" + b"}" * depth
    assert b'{"picture":1' not in strip_fields(raw, HEAVY)[:100]
