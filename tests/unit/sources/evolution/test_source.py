"""Evolution API's webhook comes in: the secret is checked, then each message is read; pure."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfctl.sources.contract import ParseResult, Request, UnparsedError
from rfctl.sources.evolution.config import EvolutionConfig
from rfctl.sources.evolution.source import Evolution
from rfctl.sources.evolution.token import GRACE_MS
from tests.support.recorded import ANY_JSON, Case, body, cases, survived

CASES = cases("evolution")
SECRET = "a-webhook-secret-of-32-characters"
NOW_MS = 1_700_000_000_000


def source(secrets: Sequence[str] = ("older", SECRET), max_text_bytes: int = 65_536) -> Evolution:
    config = EvolutionConfig.model_construct(type="evolution", secrets=list(secrets), company="shop")
    return Evolution("wa", config, max_text_bytes)


def payload(name: str) -> bytes:
    return body("evolution", name)


def read(name: str, **more: Any) -> ParseResult:
    return source(**more).parse(payload(name))


def facts(name: str) -> dict[str, Any]:
    [message] = read(name).messages
    value: dict[str, Any] = json.loads(message.metadata)
    return value


def asked(**headers: bytes) -> Request:
    return Request("POST", "/in/wa", "", headers, b"{}")


def token(secret: str = SECRET, algorithm: str = "HS256", **claims: Any) -> bytes:
    now_s = NOW_MS // 1000
    built = {"iat": now_s, "exp": now_s + 600, "app": "evolution", "action": "webhook", **claims}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jwt.InsecureKeyLengthWarning)
        kept = {name: value for name, value in built.items() if value is not None}
        return b"Bearer " + jwt.encode(kept, secret, algorithm=algorithm).encode()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_api_key_is_kept_nowhere(case: Case) -> None:
    reading = source().parse(case.body)
    redacted = source().redact(case.body)
    kept = [
        redacted,
        *(part.body for part in reading.unparsed),
        *(message.metadata for message in reading.messages),
    ]
    assert b"SECRET-API-KEY" in case.body
    assert not any(b"SECRET-API-KEY" in item for item in kept)
    assert source().parse(redacted) == reading


@pytest.mark.parametrize(
    "body",
    [b'{"a":{"ApiKey" : "s\\"ecret"}}', b'{"apikey":"secret', b'[{"apikey":"secret\\\\"},{"b":"secre"}]'],
)
def test_an_api_key_is_emptied_wherever_it_stands(body: bytes) -> None:
    assert b"ecret" not in source().redact(body).replace(b'"b":"secre"', b"")


def test_a_text_that_speaks_of_an_api_key_is_left_alone() -> None:
    body = json.dumps({"conversation": 'my "apikey": "hidden" is'}).encode()
    assert source().redact(body) == body


@pytest.mark.parametrize("name", ["image.json", "video.json", "location.json"])
def test_files_inside_a_message_are_not_kept(name: str) -> None:
    raw = json.dumps(facts(name)["raw"])
    assert "base64" not in raw
    assert "jpegThumbnail" not in raw


def test_without_files_in_it_the_providers_own_object_is_kept_to_the_byte() -> None:
    raw = b'{"key":{"remoteJid":"1@s.whatsapp.net", "id":"A"},"message":{"conversation":"a"},"x":1.50}'
    [message] = source().parse(b'{"event":"messages.upsert","data":' + raw + b"}").messages
    assert message.metadata.endswith(b'"raw":' + raw + b"}")


def test_a_deletion_that_comes_twice_has_one_id() -> None:
    [report], [bare] = read("revoke-as-a-message.json").messages, read("deleted.json").messages
    assert report.id == bare.id


@pytest.mark.parametrize(
    ("edit", "original"), [("edit-as-a-message.json", b"3EB0FIRST"), ("edited-in-a-group.json", b"3EB0G1")]
)
def test_edit_refers_to_its_original_by_its_message_id(edit: str, original: bytes) -> None:
    event = json.loads(payload("text.json"))
    event["data"]["key"]["id"] = original.decode()
    [before], [after] = source().parse(json.dumps(event).encode()).messages, read(edit).messages
    assert (after.type, after.refers) == ("edit", before.id)


def test_a_number_of_any_size_beside_a_picture_is_kept() -> None:
    raw = b'{"key":{"remoteJid":"1@s.whatsapp.net","id":"A"},"message":{"conversation":"a"},"x":123456789012345678901,"base64":"/9j/"}'
    [message] = source().parse(b'{"event":"messages.upsert","data":' + raw + b"}").messages
    assert b'"x":123456789012345678901}' in message.metadata


def test_two_edits_of_one_message_have_two_ids_and_a_retry_has_the_same() -> None:
    first_edit = payload("edited-in-a-group.json")
    second_edit = first_edit.replace(b"new words", b"newer words")
    ids = [source().parse(body).messages[0].id for body in (first_edit, first_edit, second_edit)]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize(
    ("report", "sent_ms"),
    [
        ('"1700000005123"', 1_700_000_005_123),
        ("1700000005123", 1_700_000_005_123),
        ('{"low":-807044093,"high":395,"unsigned":false}', 1_700_000_005_123),
        ('{"low":3487923203,"high":395,"unsigned":true}', 1_700_000_005_123),
        ("null", None),
        ('"soon"', None),
    ],
)
def test_edit_has_its_own_time(report: str, sent_ms: int | None) -> None:
    body = payload("edited-in-a-group.json").replace(b'"1700000005000"', report.encode())
    reading = source().parse(body)
    assert [message.sent_ms for message in reading.messages] == [sent_ms]


def test_a_place_contacts_and_a_button_are_in_the_metadata() -> None:
    place = {"latitude": -23.5, "longitude": -46.6, "name": "Shop", "address": "Main St 1"}
    assert facts("location.json")["location"] == place
    assert facts("contacts.json")["contacts"] == [
        {"name": "Bob", "phone": "5511900000002"},
        {"name": "Eve", "phone": ""},
    ]
    assert [facts(name)["button"] for name in ("button.json", "list-row.json", "template-button.json")] == [
        "buy:1",
        "day:2",
        "t:1",
    ]
    assert facts("text.json")["senderName"] == "Ann"


def test_text_over_the_byte_limit_is_unparsed() -> None:
    assert not read("text.json", max_text_bytes=10).unparsed  # "Olá " and one emoji
    [unparsed] = read("text.json", max_text_bytes=8).unparsed
    assert "longer than 8 bytes" in unparsed.why


def test_a_message_with_half_an_emoji_is_read() -> None:
    body = payload("text.json").replace("👋".encode(), b"\\ud83d")
    assert [message.text for message in source().parse(body).messages] == ["Olá \ufffd"]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"{", b"\xff", b'{"event":NaN}', b'{"event":' + b"[" * 100_000]
)
def test_body_without_an_event_is_rejected(body: bytes) -> None:
    with pytest.raises(UnparsedError):
        source().parse(body)


def test_an_empty_list_is_counted() -> None:
    assert source().parse(b'{"event":"messages.upsert","data":[]}').skipped == {"event": 1}


def test_message_nested_too_deep_is_unparsed_and_its_neighbour_is_parsed() -> None:
    body = json.loads(payload("text.json"))
    deep = '{"base64":' * 700 + "1" + "}" * 700
    good = json.dumps(body["data"])
    built = f'{{"event":"messages.upsert","data":[{deep},{good}]}}'.encode()
    reading = source().parse(built)
    assert len(reading.unparsed) == 1
    assert len(reading.messages) == 1


@given(st.sampled_from([case for case in CASES if case.name != "several.json"]), st.data())
def test_an_event_with_a_broken_part_is_read_or_unparsed(case: Case, data: st.DataObject) -> None:
    event = json.loads(case.body)
    part = event["data"]
    for _ in range(data.draw(st.integers(0, 3))):
        inside = [inner for inner in part.values() if isinstance(inner, dict)]
        part = data.draw(st.sampled_from(inside)) if inside else part
    part[data.draw(st.sampled_from([*part, "key", "message", "text"]))] = data.draw(ANY_JSON)
    reading = survived(source(), json.dumps(event).encode())
    assert reading is not None
    assert reading.messages or reading.unparsed or reading.skipped


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": b"Bearer " + SECRET.encode()},
        {"authorization": b"bearer older"},
        {"authorization": SECRET.encode()},
        {"apikey": b"older"},
        {"authorization": token()},
        {"authorization": token("older")},
        {"authorization": b"Bearer stale", "apikey": SECRET.encode()},
    ],
)
def test_any_secret_verifies_in_each_of_the_three_ways(headers: dict[str, Any]) -> None:
    assert source().verify(asked(**headers), NOW_MS)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": b""},
        {"authorization": b"Bearer"},
        {"authorization": b"Bearer wrong", "apikey": b"wrong"},
        {"authorization": "Bearer прав".encode()},
        {"apikey": b"\xff"},
        {"authorization": token("another-secret-of-32-characters--")},
        {"authorization": token(algorithm="HS512")},
        {"authorization": b"Bearer " + jwt.encode({"exp": 9e9}, "", algorithm="none").encode()},
        {"authorization": token(exp=None)},
        {"authorization": token(app="other")},
        {"authorization": token(action="login")},
        {"authorization": token()[:-2]},
        {"authorization": jwt.utils.base64url_encode(b"[" * 100_000) + b".e30.AAAA"},
        {"authorization": token().replace(b".", b".e30", 1)},
    ],
)
def test_another_secret_or_token_is_refused(headers: dict[str, Any]) -> None:
    assert not source().verify(asked(**headers), NOW_MS)


def test_a_token_holds_as_long_as_evolution_may_send_it_again() -> None:
    last_ms = NOW_MS + 600_000 + GRACE_MS
    assert source().verify(asked(authorization=token()), last_ms)
    assert not source().verify(asked(authorization=token()), last_ms + 1)


@pytest.mark.parametrize("secrets", [(), ("",)])
def test_source_without_secrets_verifies_nothing(secrets: tuple[Any, ...]) -> None:
    none = source(secrets=secrets)
    for headers in ({}, {"authorization": b""}, {"apikey": b""}):
        assert not none.verify(asked(**headers), NOW_MS)


@given(st.binary(), st.binary())
def test_verifying_never_raises(authorization: Any, api_key: Any) -> None:
    fits = {SECRET.encode(), b"older"}
    given_one = authorization.strip() in fits or api_key.strip() in fits
    assert source().verify(asked(authorization=authorization, apikey=api_key), NOW_MS) is given_one


@given(ANY_JSON, ANY_JSON)
def test_a_token_made_of_anything_never_raises(header: Any, claims: Any) -> None:
    def part(value: object) -> bytes:
        return jwt.utils.base64url_encode(json.dumps(value).encode())

    for top in (header, {"alg": header}, {"alg": "HS256", "crit": header, "kid": header}):
        built = b".".join([part(top), part(claims), b"AAAA"])
        assert not source().verify(asked(authorization=built), NOW_MS)


@given(st.dictionaries(st.sampled_from(["exp", "app", "sub", "jti", "iss", "aud"]), ANY_JSON))
def test_signed_claims_of_any_kind_never_raise(claims: Any) -> None:
    signed = jwt.api_jws.encode(json.dumps(claims).encode(), SECRET, algorithm="HS256").encode()
    assert not source().verify(asked(authorization=signed), NOW_MS)


def test_a_get_is_refused() -> None:
    assert source().handshake(Request("GET", "/in/wa", "", {}, b"")) is None
