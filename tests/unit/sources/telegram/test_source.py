"""Telegram updates come in: the token is checked, then each update is read; pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfctl.sources.contract import ParseResult, Request, UnparsedError
from rfctl.sources.telegram.config import TelegramConfig
from rfctl.sources.telegram.source import Telegram
from tests.support.recorded import ANY_JSON, Case, body, cases, survived

CASES = cases("telegram")


def source(secrets: Sequence[str] = ("right", "older"), max_text_bytes: int = 65_536) -> Telegram:
    config = TelegramConfig.model_construct(type="telegram", secrets=list(secrets), company="shop")
    return Telegram("bot", config, max_text_bytes)


def read(name: str, **more: Any) -> ParseResult:
    return source(**more).parse(body("telegram", name))


def asked(token: bytes | None, body: bytes = b"{}") -> Request:
    headers = {} if token is None else {"x-telegram-bot-api-secret-token": token}
    return Request("POST", "/in/bot", "", headers, body)


def facts(name: str) -> dict[str, Any]:
    [message] = read(name).messages
    value: dict[str, Any] = json.loads(message.metadata)
    return value


def test_the_providers_own_object_is_kept_to_the_byte() -> None:
    raw = b'{"message_id":1, "chat":{"id":5,"type":"private"},"from":{"id":5},"text":"a","other":1.50}'
    [message] = source().parse(b'{"update_id":1,"message":' + raw + b"}").messages
    assert message.metadata.endswith(b'"raw":' + raw + b"}")


def test_a_bot_and_a_business_account_never_share_an_id() -> None:
    [direct] = source().parse(update(message=post(7))).messages
    [business] = source().parse(update(business_message=post(7, business_connection_id="c"))).messages
    assert direct.id != business.id


def test_an_edit_refers_to_its_original_and_has_another_id_than_it_and_the_next_edit() -> None:
    original = source().parse(update(1, message=post(7))).messages
    edits = [source().parse(update(n, edited_message=post(7))).messages for n in (2, 3, 3)]
    ids = [item.id for [item] in [original, *edits]]
    assert len(set(ids)) == 3
    assert ids[2] == ids[3]  # the same update, sent again
    assert {item.refers for [item] in edits} == {ids[0]}


@pytest.mark.parametrize("kind", ["edited_message", "edited_business_message"])
@pytest.mark.parametrize(("report", "sent_ms"), [({"edit_date": 9}, 9000), ({}, 1000)])
def test_edit_does_not_have_the_time_of_its_original(kind: str, report: dict[str, Any], sent_ms: int) -> None:
    [edit] = source().parse(update(2, **{kind: post(7, date=1, **report)})).messages
    assert edit.sent_ms == sent_ms


def test_a_place_and_a_contact_are_in_the_metadata() -> None:
    assert facts("venue.json")["location"] == {
        "latitude": 55.75,
        "longitude": 37.61,
        "name": "Shop",
        "address": "Main St 1",
    }
    assert facts("contact.json")["contacts"] == [{"name": "Bob", "phone": "79000000001"}]


def test_metadata_identifies_an_album_and_a_button() -> None:
    assert facts("photo.json")["mediaGroup"] == "13371"
    assert facts("button.json")["button"] == "buy:1"
    assert facts("text.json")["senderName"] == "Ann Example"


def test_text_over_the_byte_limit_is_unparsed() -> None:
    body = update(message=post(7, text="я" * 6))
    assert not source(max_text_bytes=12).parse(body).unparsed
    [unparsed] = source(max_text_bytes=11).parse(body).unparsed
    assert "longer than 11 bytes" in unparsed.why


def test_a_message_with_half_an_emoji_is_read() -> None:
    body = (
        b'{"update_id":1,"message":{"message_id":7,"chat":{"id":5,"type":"private"},'
        b'"from":{"id":5},"text":"cut \\ud83d"}}'
    )
    assert [message.text for message in source().parse(body).messages] == ["cut \ufffd"]


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b"{", b"\xff", b'{"update_id":"1"}', b'{"update_id":NaN}', b'{"a":' + b"[" * 100_000],
)
def test_body_without_an_update_is_rejected(body: bytes) -> None:
    with pytest.raises(UnparsedError):
        source().parse(body)


@given(st.sampled_from(CASES), st.data())
def test_an_update_with_a_broken_part_is_read_or_unparsed(case: Case, data: st.DataObject) -> None:
    update = json.loads(case.body)
    kind = next((key for key in update if key != "update_id"), "message")
    inner = update.setdefault(kind, {})
    inner[data.draw(st.sampled_from([*inner, "from", "text", "photo", "dice"]))] = data.draw(ANY_JSON)
    reading = survived(source(), json.dumps(update).encode())
    assert reading is not None
    assert reading.messages or reading.unparsed or reading.skipped


@pytest.mark.parametrize("token", [b"right", b"older", b" right "])
def test_any_of_the_tokens_verifies(token: bytes) -> None:
    assert source().verify(asked(token), 0)


@pytest.mark.parametrize(
    "token", [None, b"", b"wrong", b"RIGHT", b"right,older", "прав".encode(), b"\xff\xfe"]
)
def test_another_token_is_refused(token: Any) -> None:
    assert not source().verify(asked(token), 0)


@pytest.mark.parametrize("secrets", [(), ("",)])
def test_source_without_secrets_verifies_nothing(secrets: tuple[Any, ...]) -> None:
    assert not source(secrets=secrets).verify(asked(b""), 0)
    assert not source(secrets=secrets).verify(asked(None), 0)


@given(st.binary(), st.binary())
def test_verifying_never_raises(token: Any, body: Any) -> None:
    assert source().verify(asked(token, body), 0) is (token.strip() in {b"right", b"older"})


def test_a_get_is_refused_and_the_body_is_kept_as_it_is() -> None:
    assert source().handshake(Request("GET", "/in/bot", "", {}, b"")) is None
    assert source().redact(b'{"update_id": 1}') == b'{"update_id": 1}'


def update(number: int = 1, **kind: Any) -> bytes:
    return json.dumps({"update_id": number, **kind}).encode()


def post(number: int, **more: Any) -> dict[str, Any]:
    chat = {"id": 5, "type": "private"}
    return {"message_id": number, "chat": chat, "from": {"id": 5}, "date": 1, "text": "hi", **more}
