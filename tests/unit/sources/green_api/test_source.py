from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfctl.sources.contract import ParseResult, Request, Source, UnparsedError
from rfctl.sources.green_api.config import GreenApiConfig
from rfctl.sources.green_api.source import GreenApi
from tests.support.recorded import ANY_JSON, NOTHING, body, survived

SECRETS = ("token-one", "Basic dXNlcjpwYXNz")
SOURCE: Source = GreenApi(
    "clinic-green", GreenApiConfig(type="green-api", secrets=list(SECRETS), company="7"), 1000
)


def read(name: str) -> ParseResult:
    return SOURCE.parse(body("green-api", name))


def notification(text: object = "x", **fields: object) -> bytes:
    built = {
        "typeWebhook": "incomingMessageReceived",
        "idMessage": "A",
        "senderData": {"chatId": "1@c.us", "sender": "1@c.us"},
        "messageData": {"typeMessage": "textMessage", "textMessageData": {"textMessage": text}},
        **fields,
    }
    return json.dumps(built).encode()


def report(authorization: bytes, body: bytes = b"{}") -> bool:
    return SOURCE.verify(Request("POST", "/green", "", {"authorization": authorization}, body), 0)


@pytest.mark.parametrize("name", ["text.json", "contact.json", "poll.json", "unknown.json"])
def test_the_notification_is_kept_byte_for_byte(name: str) -> None:
    [item] = read(name).messages
    assert body("green-api", name).strip() in item.metadata


@pytest.mark.parametrize("name", ["image.json", "image_as_a_reply.json", "location.json", "sticker.json"])
def test_a_picture_inside_a_notification_is_not_kept(name: str) -> None:
    assert b"jpegThumbnail" in body("green-api", name)
    [item] = read(name).messages
    assert b"jpegThumbnail" not in item.metadata


@pytest.mark.parametrize("change", ["edit.json", "deletion.json"])
def test_change_refers_to_its_original_by_its_message_id(change: str) -> None:
    [after] = read(change).messages
    [before] = SOURCE.parse(notification(idMessage=after.refers)).messages
    assert after.refers == before.id != after.id


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("text", "senderName", "Olga"),
        ("location", "location", {"latitude": 55.7558, "longitude": 37.6173, "name": "Red Square", "address": "Moscow"}),
        ("contact", "contacts", [{"name": "Pavel", "phone": "79005550203"}]),
        ("contacts", "contacts", [{"name": "Pavel", "phone": "79005550203"}, {"name": "Ira", "phone": ""}]),
        ("button", "button", "1"),
        ("template_button", "button", "id1"),
        ("interactive_button", "button", "yes"),
        ("list", "button", "haircut"),
    ],
)  # fmt: skip
def test_metadata_has_the_other_fields_of_the_message(name: str, key: str, value: object) -> None:
    [item] = read(f"{name}.json").messages
    assert json.loads(item.metadata)[key] == value


def test_a_row_that_is_an_object_gives_its_id() -> None:
    choice = {"title": "a", "singleSelectReply": {"selectedRowId": "r1"}}
    body = notification(messageData={"typeMessage": "listResponseMessage", "listResponseMessage": choice})
    assert json.loads(SOURCE.parse(body).messages[0].metadata)["button"] == "r1"


def test_half_an_emoji_costs_no_message() -> None:
    [item] = SOURCE.parse(notification("hi \ud83d")).messages
    assert item.text == "hi \ufffd"
    assert json.loads(item.metadata)["raw"]["messageData"]["textMessageData"]["textMessage"] == "hi \ufffd"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (notification("ж" * 501), "longer than 1000 bytes"),
        (notification(idMessage="i" * 257), "the id is longer"),
        (notification(senderData={"chatId": "1" * 300}), "the phone is longer"),
        (notification(senderData={}), "no sender"),
        (notification(senderData={"sender": 5}), "wrong shape"),
        (notification(messageData={}), "wrong shape"),
    ],
)
def test_message_over_the_limits_is_unparsed(body: bytes, why: str) -> None:
    reading = SOURCE.parse(body)
    assert reading.messages == []
    assert [why in part.why for part in reading.unparsed] == [True]


@pytest.mark.parametrize("body", [*NOTHING, b'{"typeWebhook":5}', b'{"typeWebhook":"x","a":NaN}'])
def test_unreadable_body_is_named(body: bytes) -> None:
    with pytest.raises(UnparsedError):
        SOURCE.parse(body)


@pytest.mark.parametrize("depth", range(900, 1000, 3))
def test_nesting_near_what_can_be_read_is_no_crash(depth: int) -> None:
    body = notification(metadata=0)[:-2] + b"[" * depth + b"]" * depth + b"}"
    try:
        reading = SOURCE.parse(body)
    except UnparsedError:
        return
    assert len(reading.messages) + len(reading.unparsed) == 1


KEYS = st.sampled_from(("typeMessage", "textMessageData", "fileMessageData", "pollMessageData", "contacts"))


@given(ANY_JSON | st.dictionaries(KEYS, ANY_JSON), ANY_JSON, ANY_JSON)
def test_any_notification_comes_out_once_as_a_message_or_as_unparsed(
    data: object, sender: object, time: object
) -> None:
    reading = survived(SOURCE, notification(messageData=data, senderData=sender, timestamp=time))
    assert reading is not None
    assert len(reading.messages) + len(reading.unparsed) + sum(reading.skipped.values()) == 1


def test_any_of_the_tokens_verifies_with_or_without_its_word() -> None:
    assert report(b"Bearer token-one")
    assert report(b"bearer  token-one")
    assert report(b"token-one")
    assert report(b"Basic dXNlcjpwYXNz")
    assert not report(b"Basic token-one")
    assert not report(b"dXNlcjpwYXNz")
    assert not report(b"")


def test_an_empty_secret_lets_nobody_in() -> None:
    for secrets in ((), ("",)):
        source = GreenApi("x", GreenApiConfig.model_construct(type="green-api", secrets=list(secrets)))
        assert not source.verify(Request("POST", "/", "", {}, b""), 0)
        assert not source.verify(Request("POST", "/", "", {"authorization": b"Bearer "}, b""), 0)


@given(st.binary(max_size=60))
def test_a_strange_token_is_refused_and_never_a_crash(token: bytes) -> None:
    assert not report(token)
    assert not report(b"Bearer " + token)
    assert not report("Bearer tökén".encode("latin-1") + token)


def test_a_get_is_refused_and_nothing_needs_to_be_hidden() -> None:
    assert SOURCE.handshake(Request("GET", "/", "hub.challenge=1", {}, b"")) is None
    assert SOURCE.redact(b'{"a": 1}') == b'{"a": 1}'
