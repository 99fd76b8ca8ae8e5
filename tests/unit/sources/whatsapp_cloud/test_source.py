from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfctl.model.stored import decode_item, encode_item
from rfctl.sources.contract import Request, UnparsedError
from rfctl.sources.whatsapp_cloud.config import WhatsAppCloudConfig
from rfctl.sources.whatsapp_cloud.source import WhatsAppCloud, sign
from tests.support.recorded import body, survived

CONFIG = WhatsAppCloudConfig(
    type="whatsapp-cloud", secrets=["old", "new"], company="42", verify_token="let me in"
)
SOURCE = WhatsAppCloud("clinic", CONFIG)


def posted(body: bytes, signature: bytes | str) -> Request:
    values = signature if isinstance(signature, bytes) else signature.encode()
    return Request("POST", "/hook/clinic", "", {"x-hub-signature-256": values}, body)


def asked(**query: str) -> Request:
    named = {f"hub.{name}": value for name, value in query.items()}
    return Request("GET", "/hook/clinic", urlencode(named), {}, b"")


def body_of(*messages: Any, **value: Any) -> bytes:
    value = {"metadata": {"phone_number_id": "2"}, "messages": messages, **value}
    changes = [{"field": "messages", "value": value}]
    return json.dumps({"object": "whatsapp_business_account", "entry": [{"changes": changes}]}).encode()


def text(body: str = "hi", **more: Any) -> dict[str, Any]:
    return {"from": "79001234567", "id": "wamid.1", "type": "text", "text": {"body": body}, **more}


def test_the_providers_own_object_travels_along_to_the_byte() -> None:
    raw = b'{"from":"79001234567", "id":"w","type":"text","text":{"body":"\xd0\xb4\xd0\xb0"},"n":12345678901234567890}'
    [item] = SOURCE.parse(
        b'{"entry":[{"changes":[{"field":"messages","value":{"messages":[' + raw + b"]}}]}]}"
    ).messages
    assert item.metadata == b'{"raw":' + raw + b"}"
    assert decode_item(encode_item(item, with_phone=False) + b"}").messageId == "w"


def test_too_long_text_is_parsed_under_a_higher_limit_with_its_sender_and_account() -> None:
    whole = body("whatsapp-cloud", "text.json")
    [unparsed] = WhatsAppCloud("clinic", CONFIG, 12).parse(whole).unparsed
    assert "longer than 12 bytes" in unparsed.why
    [again], [straight] = SOURCE.parse(unparsed.body).messages, SOURCE.parse(whole).messages
    ignored = {"metadata": b""}
    assert msgspec.structs.replace(again, **ignored) == msgspec.structs.replace(straight, **ignored)
    assert json.loads(again.metadata) == json.loads(straight.metadata)


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (text(id=""), "no id"),
        (text(id="x" * 257), "the id is longer than 256 characters"),
        (text(**{"from": "  "}), "no sender"),
        (text(**{"from": "9" * 257}), "the phone is longer than 256 characters"),
        (text(group_id="g" * 257), "the chat is longer than 256 characters"),
        (text(type=""), "`type` is missing"),
        (text(type="image"), "`image` is missing"),
        (text(text={}), "wrong shape"),
    ],
)
def test_unreadable_message_has_a_reason(broken: dict[str, Any], why: str) -> None:
    reading = SOURCE.parse(body_of(broken, text("beside")))
    assert [message.text for message in reading.messages] == ["beside"]
    assert why in reading.unparsed[0].why


@pytest.mark.parametrize("change", ["edit.json", "deletion.json"])
def test_change_refers_to_its_original_by_its_message_id(change: str) -> None:
    [after] = SOURCE.parse(body("whatsapp-cloud", change)).messages
    [before] = SOURCE.parse(body_of(text(id=after.refers))).messages
    assert after.refers == before.id != after.id


def test_a_contact_that_cannot_be_read_costs_no_message() -> None:
    reading = SOURCE.parse(body_of(text(), contacts=[7, {"wa_id": "79001234567", "profile": None}]))
    assert [message.text for message in reading.messages] == ["hi"]


@pytest.mark.parametrize("odd", [{"id": "X", "changes": None}, {"id": "X", "changes": 7}, 7, None, "x"])
def test_broken_entry_is_unparsed_and_its_neighbours_are_parsed(odd: Any) -> None:
    good = [json.loads(body_of(text(str(number), id=f"wamid.{number}")))["entry"][0] for number in (1, 2)]
    whole = {"object": "whatsapp_business_account", "entry": [good[0], odd, good[1]]}
    reading = SOURCE.parse(json.dumps(whole).encode())
    assert [message.text for message in reading.messages] == ["1", "2"]
    [unparsed] = reading.unparsed
    assert json.loads(unparsed.body)["entry"] == [odd]
    assert "wrong shape" in unparsed.why


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"entry":[]}',
        b'{"entry":7}',
        b'{"entry":[{"changes":[]}]}',
        b"\xff\xfe{}",
        b'{"entry":[{"changes":[NaN]}]}',
        body_of(text()).replace(b"hi", b"\xc3\x28"),
    ],
)
def test_a_body_in_which_nothing_can_be_made_out_is_not_understood(body: bytes) -> None:
    with pytest.raises(UnparsedError):
        SOURCE.parse(body)


def test_a_body_that_is_nested_without_end_is_not_understood() -> None:
    body = b'{"entry":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    try:
        reading = SOURCE.parse(body)
    except UnparsedError:
        return  # Python counts the levels; from 3.14 on it measures its stack, and goes deeper
    assert (reading.messages, len(reading.unparsed)) == ([], 1)


def test_edits_nested_a_thousand_deep_do_not_end_the_process() -> None:
    edit: dict[str, Any] = {"type": "text", "text": {"body": "x"}}
    for _ in range(200):
        edit = {"type": "edit", "edit": {"original_message_id": "a", "message": edit}}
    reading = SOURCE.parse(body_of({**text(), **edit}))
    assert [part.why for part in reading.unparsed] == ["an edit of an edit"]


def test_the_signature_is_the_one_that_is_published_for_this_scheme() -> None:
    # the example of GitHub's documentation, whose header and scheme these are
    expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert sign("It's a Secret to Everybody", b"Hello, World!") == expected


@pytest.mark.parametrize("secret", ["old", "new"])
def test_either_of_two_secrets_verifies(secret: str) -> None:
    assert SOURCE.verify(posted(b"{}", sign(secret, b"{}")), 0)


@pytest.mark.parametrize("secret", ["", "other", "let me in"])
def test_another_secret_is_refused(secret: str) -> None:
    assert not SOURCE.verify(posted(b"{}", sign(secret, b"{}")), 0)


@pytest.mark.parametrize("secrets", [(), ("",)])
def test_source_without_secrets_verifies_nothing(secrets: tuple[str, ...]) -> None:
    assert not WhatsAppCloud(
        "x", WhatsAppCloudConfig.model_construct(type="whatsapp-cloud", secrets=list(secrets))
    ).verify(posted(b"{}", sign("", b"{}")), 0)


def test_a_signature_without_its_prefix_is_refused() -> None:
    assert not SOURCE.verify(posted(b"{}", sign("new", b"{}").removeprefix("sha256=")), 0)


@given(st.binary(), st.binary())
def test_verifying_never_raises_and_guesses_are_refused(body: bytes, signature: bytes) -> None:
    assert not SOURCE.verify(posted(body, signature), 0)


@given(st.binary(), st.binary())
def test_a_changed_body_is_refused(body: bytes, other: bytes) -> None:
    signature = sign("new", body)
    assert SOURCE.verify(posted(body, signature), 0)
    assert SOURCE.verify(posted(other, signature), 0) == (other == body)


def test_a_subscription_that_names_our_token_gets_its_challenge_back() -> None:
    assert SOURCE.handshake(asked(mode="subscribe", verify_token="let me in", challenge="11_a-Z")) == "11_a-Z"


@pytest.mark.parametrize(
    "change",
    [
        {"mode": "unsubscribe"},
        {"verify_token": "let me"},
        {"verify_token": ""},
        {"verify_token": "\xff"},
        {"challenge": ""},
        {"challenge": "<script>"},
        {"challenge": "1\n"},
        {"challenge": "1" * 257},
        {"challenge": "١"},
    ],
)
def test_any_other_handshake_is_refused(change: dict[str, str]) -> None:
    right = {"mode": "subscribe", "verify_token": "let me in", "challenge": "11"}
    assert SOURCE.handshake(asked(**{**right, **change})) is None


def test_source_without_a_verify_token_rejects_every_handshake() -> None:
    source = WhatsAppCloud("x", WhatsAppCloudConfig(type="whatsapp-cloud"))
    assert source.handshake(asked(mode="subscribe", verify_token="", challenge="11")) is None


@given(st.text())
def test_a_handshake_never_raises(query: str) -> None:
    assert SOURCE.handshake(Request("GET", "/", query, {}, b"")) is None


def test_a_flood_of_query_fields_is_no_handshake() -> None:
    right = asked(mode="subscribe", verify_token="let me in", challenge="11")
    assert SOURCE.handshake(Request("GET", "/", right.query + "&a=1" * 50, {}, b"")) is None


NAMES = st.sampled_from(
    [
        *(
            "from",
            "id",
            "type",
            "timestamp",
            "group_id",
            "context",
            "body",
            "message",
            "name",
            "phones",
            "voice",
        ),
        *("text", "image", "location", "contacts", "interactive", "edit", "system", "original_message_id"),
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | NAMES
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(ANYTHING, st.dictionaries(NAMES, ANYTHING, max_size=6), ANYTHING)
def test_foreign_value_in_place_of_a_message_costs_no_neighbour(odd: Any, over: Any, contacts: Any) -> None:
    broken = {**text("odd"), **over}
    kept = [contacts] if not isinstance(contacts, list) else contacts
    built = body_of(odd, broken, text("beside"), contacts=kept)
    reading = survived(SOURCE, built)
    if reading is None:  # json writes NaN and Infinity, which are no JSON
        assert b"NaN" in built or b"Infinity" in built
        return
    assert reading.messages[-1].text == "beside"
    assert len(reading.messages) + len(reading.unparsed) == 3
