from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfctl.sources.contract import ParseResult, Request, Source, UnparsedError
from rfctl.sources.parsing import Contact
from rfctl.sources.waha.config import WahaConfig
from rfctl.sources.waha.source import Waha
from rfctl.sources.whatsapp_web import find_type, find_type_by_mime, parse_vcard
from tests.support.recorded import ANY_JSON, NOTHING, body, survived

SOURCE: Source = Waha("clinic-wa", WahaConfig(type="waha", secrets=["old", "new"], company="7"), 1000)


def read(name: str) -> ParseResult:
    return SOURCE.parse(body("waha", name))


def event(payload: object, kind: str = "message") -> bytes:
    return json.dumps({"event": kind, "session": "s", "payload": payload}).encode()


def message(**fields: object) -> dict[str, Any]:
    return {"id": "false_1@c.us_A", "from": "1@c.us", "fromMe": False, "body": "x", **fields}


def request(
    body: bytes, secret: str = "new", algorithm: bytes = b"sha512", signature: bytes | None = None
) -> Request:
    signed = hmac.new(secret.encode(), body, hashlib.sha512).hexdigest().encode()
    headers = {
        "x-webhook-hmac": signed if signature is None else signature,
        "x-webhook-hmac-algorithm": algorithm,
    }
    return Request("POST", "/waha", "", headers, body)


@pytest.mark.parametrize("name", ["text.json", "image.json", "reply.json", "deletion.json", "lid_gows.json"])
def test_the_engines_own_object_is_not_kept(name: str) -> None:
    assert b'"_data"' in body("waha", name)
    [item] = read(name).messages
    assert b'"_data"' not in item.metadata
    assert json.loads(item.metadata)["raw"]


def test_metadata_has_the_other_fields_of_the_message() -> None:
    [place] = read("location.json").messages
    assert json.loads(place.metadata)["location"] == {
        "latitude": "55.7558",
        "longitude": "37.6173",
        "name": "Red Square",
        "address": "Moscow",
    }
    assert "thumbnail" not in json.loads(place.metadata)["raw"]["location"]
    [card] = read("contacts.json").messages
    assert json.loads(card.metadata)["contacts"] == [{"name": "Pavel", "phone": "79005550103"}]
    [pressed] = read("button.json").messages
    assert json.loads(pressed.metadata)["button"] == "book"
    assert json.loads(read("text.json").messages[0].metadata)["senderName"] == "Olga"


def test_numbers_in_the_raw_payload_keep_every_digit() -> None:
    body = b'{"event":"message","payload":{"id":"a","from":"1@c.us","body":"x","big":12345678901234567890123,"f":1.10}}'
    assert b'"big":12345678901234567890123,"f":1.10' in SOURCE.parse(body).messages[0].metadata


def test_an_edit_without_an_id_of_its_own_differs_from_its_message_and_not_between_retries() -> None:
    def edit(text: str) -> str:
        body = event(message(body=text, editedMessageId="A"), "message.edited")
        return SOURCE.parse(body).messages[0].id

    assert edit("x") == edit("x")
    assert len({edit("x"), edit("y"), "false_1@c.us_A"}) == 3


@pytest.mark.parametrize(
    ("sender", "chat", "original"),
    [
        ({}, "1@c.us", "false_1@c.us_A"),
        ({"participant": "2@c.us"}, "3@g.us", "false_3@g.us_A_2@c.us"),
    ],
)
def test_edit_refers_to_its_original_by_its_message_id(
    sender: dict[str, Any], chat: str, original: str
) -> None:
    later = original.replace("_A", "_B")
    report = {"from": chat, **sender}
    [before] = SOURCE.parse(event(message(**report, id=original))).messages
    edit = event(message(**report, id=later, editedMessageId="A"), "message.edited")
    [after] = SOURCE.parse(edit).messages
    assert (after.refers, after.id, before.id) == (before.id, "B", "A")
    assert json.loads(after.metadata)["providerId"] == later


@pytest.mark.parametrize("before", [None, message(id="false_1@c.us_A")])
def test_deletion_refers_to_its_original_by_its_message_id(
    before: dict[str, Any] | None,
) -> None:
    [original] = SOURCE.parse(event(message())).messages
    report = {"after": message(id="false_1@c.us_B"), "before": before, "revokedMessageId": "A"}
    [deletion] = SOURCE.parse(event(report, "message.revoked")).messages
    assert deletion.refers == original.id


SPELLINGS = [
    ("false_79001@c.us_3EB0", {"from": "79001@c.us"}),
    ("false_79001@s.whatsapp.net_3EB0", {"from": "79001@s.whatsapp.net"}),
    ("false_5555@lid_3EB0", {"from": "5555@lid"}),
    ("false_1203@g.us_3EB0_79001@c.us", {"from": "1203@g.us", "participant": "79001@c.us"}),
    ("false_1203@g.us_3EB0_5555@lid", {"from": "1203@g.us", "participant": "5555@lid"}),
    ("3EB0", {"from": "79001@c.us"}),
]


@pytest.mark.parametrize("me", [None, {"id": "7999@c.us"}, {"id": None}, 5])
def test_one_message_under_every_spelling_of_its_chat_is_one(me: object) -> None:
    read = []
    for whole_id, fields in SPELLINGS:
        body = json.loads(event(message(id=whole_id, **fields))) | {"me": me}
        [item] = SOURCE.parse(json.dumps(body).encode()).messages
        read.append((item.id, item.id_scope))
        assert item.older_id == whole_id
    assert len(set(read)) == 1
    assert read[0][0] == "3EB0"


def test_ids_of_two_accounts_stay_apart_and_one_session_name_on_two_servers_too() -> None:
    def scope(source: Source, me: object, session: str = "default") -> tuple[str, ...]:
        body = {"event": "message", "session": session, "me": me, "payload": message()}
        return source.parse(json.dumps(body).encode()).messages[0].id_scope

    other = Waha("other", WahaConfig(type="waha", secrets=["x"]))
    renamed = Waha("new-name", WahaConfig(type="waha", secrets=["x"], id_scope="other"))
    assert scope(SOURCE, {"id": "7@c.us"}) == scope(other, {"id": "7@s.whatsapp.net"}, "another")
    assert scope(SOURCE, {"id": "7@c.us"}) != scope(SOURCE, {"id": "8@c.us"})
    assert scope(SOURCE, None) != scope(other, None)
    assert scope(other, None) == scope(renamed, None) != scope(other, None, "another")


@pytest.mark.parametrize(
    ("data", "sent_ms"),
    [
        ({"message": {"latestEditSenderTimestampMs": 1_767_225_660_123}}, 1_767_225_660_123),
        ({"latestEditSenderTimestampMs": 1_767_225_660_123}, 1_767_225_660_123),
        ({"message": {"latestEditSenderTimestampMs": None}}, 1_767_225_600_000),
        ({"message": {"latestEditSenderTimestampMs": "soon"}}, 1_767_225_600_000),
        ({}, 1_767_225_600_000),
    ],
)
def test_edit_has_the_time_that_the_engine_gives(data: dict[str, Any], sent_ms: int) -> None:
    edit = message(timestamp=1_767_225_600, editedMessageId="A", _data=data)
    [item] = SOURCE.parse(event(edit, "message.edited")).messages
    assert item.sent_ms == sent_ms


@pytest.mark.parametrize(
    ("whole_id", "own"),
    [
        ("evt_1", "evt_1"),
        ("true_1@c.us_B", "B"),
        ("false_1@c.us", "false_1@c.us"),
        ("maybe_1_B", "maybe_1_B"),
        ("A", "A"),
    ],
)
def test_id_is_its_own_part_where_it_has_one(whole_id: str, own: str) -> None:
    [item] = SOURCE.parse(event(message(id=whole_id))).messages
    assert item.id == own


@pytest.mark.parametrize(
    "fields",
    [
        {"_data": {"type": "album"}},
        {"_data": {"type": "pinned_message"}},
        {"_data": {"type": "gp2"}},
        {"_data": {"type": "e2e_notification"}},
        {"_data": {"message": {"albumMessage": {}, "messageContextInfo": {}}}},
        {"_data": {"message": {"pinInChatMessage": {"type": 1}}}},
        {"_data": {"Message": {"eventMessage": {"name": "x"}}}},
    ],
)
def test_frame_of_an_album_a_pin_or_a_notice_is_no_message(fields: dict[str, Any]) -> None:
    assert SOURCE.parse(event(message(body="", **fields))) == ParseResult(skipped={"event": 1})


@pytest.mark.parametrize("content", [{}, {"conversation": "x"}, {"albumMessage": {}, "imageMessage": {}}])
def test_engine_object_with_a_message_in_it_is_a_message(content: dict[str, Any]) -> None:
    assert SOURCE.parse(event(message(body="", _data={"message": content}))).messages


@pytest.mark.parametrize(
    "content",
    [
        {"interactiveResponseMessage": {"body": {"text": "Sent"}, "nativeFlowResponseMessage": {
            "name": "galaxy_message", "paramsJson": '{"flow_token":"t","name":"Olga","when":["10:00","11:00"],"n":2}'}}},
        {"interactiveResponseMessage": {"Body": {"text": "Sent"}, "InteractiveResponseMessage": {
            "NativeFlowResponseMessage": {
                "name": "flow", "paramsJSON": '{"flow_token":"t","name":"Olga","when":["10:00","11:00"],"n":2}'}}}},
    ],
)  # fmt: skip
@pytest.mark.parametrize("engine", ["message", "Message"])
def test_form_says_what_was_filled_in(engine: str, content: dict[str, Any]) -> None:
    [item] = SOURCE.parse(event(message(body="Sent", _data={engine: content}))).messages
    assert (item.text, item.type) == ("name=Olga\nwhen=10:00, 11:00\nn=2", "form")


def test_event_that_nobody_knows_is_kept_and_a_known_one_is_counted() -> None:
    body = event({}, "message.translated")
    assert [part.body for part in SOURCE.parse(body).unparsed] == [body]
    assert SOURCE.parse(event({}, "session.status")).skipped == {"event": 1}
    assert SOURCE.parse(event({}, "message.ack")).skipped == {"status": 1}


def test_unknown_engine_object_costs_no_message() -> None:
    [item] = SOURCE.parse(event(message(_data={"key": 5, "type": []}))).messages
    assert item.text == "x"


def test_half_an_emoji_costs_no_message() -> None:
    body = rb'{"event":"message","payload":{"id":"a","from":"1@c.us","body":"hi \ud83d"}}'
    [item] = SOURCE.parse(body).messages
    assert item.text == "hi \ufffd"
    assert json.loads(item.metadata)["raw"]["body"] == "hi \ufffd"


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (message(body="ж" * 501), "longer than 1000 bytes"),
        (message(id="i" * 257), "the id is longer"),
        (message(**{"from": "1" * 300}), "the phone is longer"),
        (message(**{"from": None}), "no sender"),
        (message(fromMe="no"), "wrong shape"),
    ],
)
def test_message_over_the_limits_is_unparsed(payload: dict[str, Any], why: str) -> None:
    reading = SOURCE.parse(event(payload))
    assert reading.messages == []
    assert [why in part.why for part in reading.unparsed] == [True]


@pytest.mark.parametrize("body", [*NOTHING, b'{"event":5}', b'{"event":"message","payload":NaN}'])
def test_unreadable_body_is_named(body: bytes) -> None:
    with pytest.raises(UnparsedError):
        SOURCE.parse(body)


@pytest.mark.parametrize("depth", range(900, 1000, 3))
def test_nesting_near_what_can_be_read_is_no_crash(depth: int) -> None:
    body = (
        b'{"event":"message","payload":{"id":"a","from":"1","body":"x","z":'
        + b"[" * depth
        + b"]" * depth
        + b"}}"
    )
    try:
        reading = SOURCE.parse(body)
    except UnparsedError:
        return
    assert len(reading.messages) + len(reading.unparsed) == 1


FIELDS = ("id", "timestamp", "from", "participant", "body", "media", "location", "vCards", "replyTo", "_data")
KINDS = ("message", "message.reaction", "message.edited", "message.revoked", "poll.vote")


@given(
    st.sampled_from(KINDS),
    st.dictionaries(st.sampled_from((*FIELDS, "after", "before", "reaction", "vote", "poll")), ANY_JSON),
)
def test_any_payload_comes_out_once_as_a_message_or_as_unparsed_or_skipped(
    kind: str, payload: dict[str, Any]
) -> None:
    reading = survived(SOURCE, json.dumps({"event": kind, "payload": payload}).encode())
    assert reading is not None
    assert len(reading.messages) + len(reading.unparsed) + sum(reading.skipped.values()) == 1


def test_either_secret_verifies_and_no_other() -> None:
    assert SOURCE.verify(request(b"{}", "old"), 0)
    assert SOURCE.verify(request(b"{}", "new"), 0)
    assert not SOURCE.verify(request(b"{}", "other"), 0)
    assert not SOURCE.verify(Request("POST", "/", "", {}, b"{}"), 0)
    assert not Waha("x", WahaConfig(type="waha")).verify(request(b"{}", ""), 0)
    assert not Waha("x", WahaConfig.model_construct(type="waha", secrets=[""])).verify(request(b"{}", ""), 0)


def test_another_algorithm_is_refused_even_with_the_right_signature() -> None:
    assert not SOURCE.verify(request(b"{}", algorithm=b"sha256"), 0)
    assert not SOURCE.verify(request(b"{}", algorithm=b""), 0)


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_a_changed_body_is_refused(body: bytes, other: bytes) -> None:
    signed = request(body)
    assert SOURCE.verify(signed, 0)
    assert SOURCE.verify(Request("POST", "/", "", signed.headers, other), 0) == (body == other)


@given(st.binary(max_size=140))
def test_a_strange_signature_is_refused_and_never_a_crash(signature: bytes) -> None:
    assert not SOURCE.verify(request(b"{}", signature=signature), 0)


def test_a_get_is_refused_and_nothing_needs_to_be_hidden() -> None:
    assert SOURCE.handshake(Request("GET", "/", "hub.challenge=1", {}, b"")) is None
    assert SOURCE.redact(b'{"a": 1}') == b'{"a": 1}'


@pytest.mark.parametrize(
    ("card", "who"),
    [
        (
            "BEGIN:VCARD\r\nFN:Anna B\r\nTEL;TYPE=CELL:+7 (900) 555-01-09\r\nEND:VCARD",
            Contact("Anna B", "79005550109"),
        ),
        ("TEL;type=CELL;waid=79005550109:+7 900", Contact("", "79005550109")),
        ("FN;CHARSET=UTF-8:Анна", Contact("Анна", "")),
        ("", Contact("", "")),
    ],
)
def test_a_vcard_gives_its_name_and_number(card: str, who: Contact) -> None:
    assert parse_vcard(card) == who


def test_a_type_is_known_or_keeps_its_name() -> None:
    assert [find_type(name) for name in ("ptt", "Chat", "event creation!", "", "x" * 40)] == [
        "voice",
        "text",
        "event_creation",
        "unsupported",
        "x" * 32,
    ]
    assert [
        find_type_by_mime(mime) for mime in ("image/png", "audio/ogg; codecs=opus", "application/pdf", "")
    ] == [
        "image",
        "voice",
        "document",
        "document",
    ]
