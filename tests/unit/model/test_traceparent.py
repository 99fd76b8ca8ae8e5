"""The one form in which a trace is taken, from whoever sent it; pure."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfctl.ingest.head import Head
from rfctl.model.message import Message
from rfctl.model.stored import decode_merged, encode_item
from rfctl.model.traceparent import check_traceparent, find_traceparent, list_traceparents, read_traceparents

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"

NOT_VALID = [
    "", "00", GOOD.upper(), GOOD[:-1], GOOD + "0", GOOD + "-x", " " + GOOD, GOOD + "\n", GOOD + "\r\nX-Admin: 1",
    f"01-{TRACE}-{SPAN}-01", f"ff-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01",
    f"00-{TRACE}-{SPAN}-0g", f"00-{TRACE[:-1]}g-{SPAN}-01", f"00-{TRACE}_{SPAN}-01", f"{GOOD},{GOOD}", GOOD.replace("4", "٤"),
]  # fmt: skip


def test_valid_trace_is_taken_as_it_came() -> None:
    assert check_traceparent(GOOD) == GOOD
    assert check_traceparent(f"00-{TRACE}-{SPAN}-00") == f"00-{TRACE}-{SPAN}-00"


@pytest.mark.parametrize("text", NOT_VALID)
def test_any_other_form_is_no_trace(text: str) -> None:
    assert check_traceparent(text) == ""


def build_head(*values: bytes, **more: Any) -> Head:
    fields = [(b"host", b"localhost"), *((b"traceparent", value) for value in values)]
    return Head("POST", "/", "/", "", "1.1", fields, "", **more)


@pytest.mark.parametrize(
    ("values", "trace"),
    [
        ([GOOD.encode()], GOOD),
        ([], ""),
        ([GOOD.encode(), GOOD.encode()], ""),
        ([GOOD.encode(), b""], ""),
        ([b"\xff" * 55], ""),
    ],
)
def test_head_names_a_trace_when_it_has_just_one_field_for_it(values: list[bytes], trace: str) -> None:
    head = build_head(*values)
    assert head.traceparent == trace
    assert head.has_invalid_trace == (bool(values) and not trace)
    assert find_traceparent(values) == trace


def test_head_that_was_not_parsed_has_its_trace_in_its_headers() -> None:
    assert Head("POST", "/", "/", "", "1.1", (), "", {"traceparent": GOOD.encode()}).traceparent == GOOD
    assert Head("POST", "/", "/", "", "1.1", (), "", {"host": b"localhost"}).traceparent == ""


def test_head_is_looked_at_once() -> None:
    head = build_head(GOOD.encode())
    assert head.traceparent == GOOD
    head.fields = ()
    assert head.traceparent == GOOD


@pytest.mark.parametrize(
    ("field", "traces"),
    [
        (b"[]", ()),
        (json.dumps([GOOD, "", GOOD + "\r\nX: 1"]).encode(), (GOOD, "", "")),
        (b"[1]", ()), (b"{}", ()), (b"", ()), (b"\xff", ()), (b'["\xff"]', ()), (b"[" * 100_000, ()),
    ],
)  # fmt: skip
def test_field_of_another_program_brings_no_other_text(field: bytes, traces: tuple[str, ...]) -> None:
    assert read_traceparents(field) == traces


@given(st.binary(max_size=80))
def test_field_of_any_bytes_fails_nothing(field: bytes) -> None:
    assert not any(read_traceparents(field))


def test_last_message_that_has_a_trace_gives_that_of_the_merged_one() -> None:
    other = GOOD.replace("4", "5")
    field = json.dumps([other, GOOD, ""]).encode()
    assert decode_merged("1-0", {"traceparents": field}).traceparent == GOOD
    assert decode_merged("1-0", {}).traceparent == ""


def test_item_without_a_trace_keeps_its_bytes() -> None:
    message = Message(phone="7", text="a", id="1", channel="salon", traceparent=GOOD)
    plain = Message(phone="7", text="a", id="1", channel="salon")
    item = encode_item(message, with_phone=False)
    assert item.replace(b',"traceparent":"%b"' % GOOD.encode(), b"") == encode_item(plain, with_phone=False)
    assert b'"messageId":"1","traceparent":"00-' in item


def test_traces_of_messages_are_listed_when_any_has_one() -> None:
    first = Message(phone="7", text="a", id="1", channel="salon", traceparent=GOOD)
    other = Message(phone="7", text="b", id="2", channel="salon")
    assert list_traceparents([first, other]) == [GOOD, ""]
    assert list_traceparents([other, other]) == []
