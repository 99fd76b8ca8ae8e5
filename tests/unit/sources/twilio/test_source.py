from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfctl.sources.contract import Request, UnparsedError
from rfctl.sources.twilio.config import TwilioConfig
from rfctl.sources.twilio.source import Twilio, sign
from tests.support.recorded import body, survived

URL = "https://bot.example.com"


def config(*secrets: str, public_url: str = URL) -> TwilioConfig:
    """Settings of a source; a wrong secret or URL is not refused here."""
    return TwilioConfig.model_construct(
        type="twilio", secrets=list(secrets), company="42", public_url=public_url
    )


SOURCE = Twilio("salon", config("old", "new"))
FORM = b"application/x-www-form-urlencoded; charset=utf-8"
SETTINGS = "x-twilio-webhooks-signature-settings"


def posted(
    body: bytes,
    signature: bytes | str,
    *,
    path: str = "/hook/salon",
    query: str = "",
    kind: bytes = FORM,
    settings: bytes = b"",
) -> Request:
    values = signature if isinstance(signature, bytes) else signature.encode()
    headers = {"content-type": kind, "x-twilio-signature": values} | (
        {SETTINGS: settings} if settings else {}
    )
    return Request("POST", path, query, headers, body)


def test_the_fields_travel_along_and_repeated_ones_all_of_them() -> None:
    [item] = SOURCE.parse(body("twilio", "repeated_field.txt")).messages
    raw = json.loads(item.metadata)["raw"]
    assert (raw["Body"], raw["AddOns"], raw["From"]) == (["one", "two"], "", "+12025550143")


def test_too_long_text_is_parsed_under_a_higher_limit() -> None:
    form = body("twilio", "whatsapp.txt")
    [unparsed] = Twilio("salon", config(), 12).parse(form).unparsed
    assert "longer than 12 bytes" in unparsed.why
    assert SOURCE.parse(unparsed.body).messages == SOURCE.parse(form).messages


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"MessageSid":"SM1","From":"+1"}',
        b"Body=hi",
        b"\xff\xfe",
        b"MessageSid=SM1&From=1" + b"&x=" * 199,
    ],
)
def test_a_body_in_which_nothing_can_be_made_out_is_not_understood(body: bytes) -> None:
    with pytest.raises(UnparsedError):
        SOURCE.parse(body)


def test_two_hundred_fields_are_still_a_message() -> None:
    assert SOURCE.parse(b"MessageSid=SM1&From=1" + b"&x=" * 198).messages[0].phone == "1"


CALL = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Caller", "+14158675309"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
]
REPEATED = [
    ("Sid", "CA123"),
    ("SidAccount", "AC123"),
    ("Digits", "5678"),
    ("Digits", "1234"),
    ("Digits", "1234"),
]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [(CALL, "RSOYDt4T1cUTdK1PDd93/VVr8B8="), (REPEATED, "IK+Dwps556ElfBT0I3Rgjkr1wJU=")],
)
def test_the_signature_is_the_one_that_the_providers_libraries_test_with(
    fields: list[tuple[str, str]], expected: str
) -> None:
    assert sign("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", fields) == expected


BODY = b"MessageSid=SM1&From=%2B1&Body="


def signed(secret: str = "new", url: str = f"{URL}/hook/salon", **more: Any) -> str:
    return sign(secret, url, [("MessageSid", "SM1"), ("From", "+1"), ("Body", "")], **more)


@pytest.mark.parametrize("secret", ["old", "new"])
def test_either_of_two_secrets_verifies_a_form_with_an_empty_body(secret: str) -> None:
    assert SOURCE.verify(posted(BODY, signed(secret)), 0)


@pytest.mark.parametrize("secret", ["", "other"])
def test_another_secret_is_refused(secret: str) -> None:
    assert not SOURCE.verify(posted(BODY, signed(secret)), 0)


@pytest.mark.parametrize("secrets", [(), ("",)])
def test_source_without_secrets_verifies_nothing(secrets: tuple[str, ...]) -> None:
    assert not Twilio("x", config(*secrets)).verify(posted(BODY, signed("")), 0)


@pytest.mark.parametrize("public_url", ["", "bot.example.com", "https://", "https://bot.example.com:port"])
def test_source_without_a_public_url_verifies_nothing(public_url: str) -> None:
    source = Twilio("x", config("new", public_url=public_url))
    assert not source.verify(posted(BODY, signed(url=f"{public_url}/hook/salon")), 0)


@pytest.mark.parametrize(
    ("public_url", "report"),
    [
        ("https://bot.example.com/", "https://bot.example.com/hook/salon"),
        ("https://bot.example.com", "https://bot.example.com:443/hook/salon"),
        ("http://bot.example.com", "http://bot.example.com:80/hook/salon"),
        ("https://bot.example.com:8443", "https://bot.example.com/hook/salon"),
        ("https://bot.example.com:8443", "https://bot.example.com:8443/hook/salon"),
        ("https://bot.example.com/in", "https://bot.example.com/in/hook/salon"),
        ("https://user:word@bot.example.com:8443", "https://user:word@bot.example.com/hook/salon"),
        ("https://[::1]:8443", "https://[::1]/hook/salon"),
    ],
)
def test_the_url_is_the_public_one_with_and_without_its_port(public_url: str, report: str) -> None:
    source = Twilio("x", config("new", public_url=public_url))
    assert source.verify(posted(BODY, signed(url=report)), 0)


@pytest.mark.parametrize(
    "report", ["http://bot.example.com/hook/salon", f"{URL}/hook/salon/", f"{URL}/hook/salon?a=1"]
)
def test_another_url_is_refused(report: str) -> None:
    assert not SOURCE.verify(posted(BODY, signed(url=report)), 0)


def test_signature_algorithm_is_read_from_its_header() -> None:
    newer = signed(algorithm="HMAC_SHA256")
    assert SOURCE.verify(posted(BODY, newer, settings=b"key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"), 0)
    assert not SOURCE.verify(posted(BODY, newer), 0)
    assert not SOURCE.verify(posted(BODY, signed(), settings=b"key=k,algorithm=HMAC_MD5"), 0)
    assert not SOURCE.verify(posted(BODY, signed(), settings=b"algorithm=\xff"), 0)


def test_a_json_body_is_held_to_the_hash_in_its_signed_url() -> None:
    body = b'{"a":1}'
    query = "bodySHA256=" + hashlib.sha256(body).hexdigest()
    signature = sign("new", f"{URL}/hook/salon?{query}", [])
    kind = b"application/json"
    assert SOURCE.verify(posted(body, signature, query=query, kind=kind), 0)
    assert not SOURCE.verify(posted(b'{"a":2}', signature, query=query, kind=kind), 0)
    assert not SOURCE.verify(posted(body, signature, query=query), 0), "a form is held to its fields"


def test_a_form_that_is_no_utf8_is_signed_as_its_bytes() -> None:
    # what Twilio would compute, without Python's text in between
    import base64
    import hmac

    report = f"{URL}/hook/salon".encode() + b"Bodycaf\xe9"
    signature = base64.b64encode(hmac.new(b"new", report, hashlib.sha1).digest())
    assert SOURCE.verify(posted(b"Body=caf%E9", signature), 0)
    assert not SOURCE.verify(posted(b"Body=caf%E8", signature), 0)


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.binary(), st.binary(), st.text(), st.binary(), st.binary())
def test_verifying_never_raises_and_guesses_are_refused(
    body: bytes, signature: bytes, query: str, kind: bytes, settings: bytes
) -> None:
    assert not SOURCE.verify(posted(body, signature, query=query, kind=kind, settings=settings), 0)


@given(st.dictionaries(ANY_TEXT, ANY_TEXT, min_size=1), st.data(), ANY_TEXT.filter(bool))
def test_a_changed_field_is_refused(fields: dict[str, str], data: st.DataObject, more: str) -> None:
    signature = sign("new", f"{URL}/hook/salon", fields.items())
    name = data.draw(st.sampled_from(sorted(fields)))
    changed = {**fields, name: fields[name] + more}
    assert SOURCE.verify(posted(urlencode(fields).encode(), signature), 0)
    assert not SOURCE.verify(posted(urlencode(changed).encode(), signature), 0)


NAMES = ["Body", "To", "NumMedia", "MediaUrl0", "MediaContentType0", "Latitude", "Longitude", "ButtonText"]
NAMES += ["ListId", "MessageType", "ProfileName", "ExternalUserId", "MessageStatus", "SmsStatus", "CallSid"]


@given(st.dictionaries(st.sampled_from(NAMES), st.binary(max_size=12)))
def test_form_with_sender_and_id_is_always_a_message(fields: dict[str, bytes]) -> None:
    form = {"From": b"whatsapp:+79001234567", "MessageSid": b"SM1", "Body": b"", **fields}
    reading = survived(SOURCE, urlencode(form).encode())
    assert reading is not None
    [item] = reading.messages
    assert (item.phone, item.id, item.platform) == ("79001234567", "SM1", "whatsapp")


@pytest.mark.parametrize("flood", [{"query": "&".join(["a=1"] * 201)}, {"body": b"&".join([b"a=1"] * 201)}])
def test_a_flood_of_fields_is_refused(flood: dict[str, Any]) -> None:
    body, query = flood.get("body", b""), flood.get("query", "")
    report = f"{URL}/hook/salon" + ("?" + query if query else "")
    signature = sign("new", report, [("a", "1")] if body else [])
    assert not SOURCE.verify(posted(body, signature, query=query), 0)


def test_twilio_asks_for_no_handshake() -> None:
    assert SOURCE.handshake(Request("GET", "/hook/salon", "hub.challenge=1", {}, b"")) is None


def test_what_was_verified_is_not_read_for_another_body() -> None:
    first, second = body("twilio", "sms.txt"), body("twilio", "whatsapp.txt")
    fields = dict(parse_qsl(first.decode(), keep_blank_values=True))
    request = posted(first, sign("new", f"{URL}/hook/salon", fields.items()))
    [alone], [other] = SOURCE.parse(first).messages, SOURCE.parse(second).messages
    assert SOURCE.verify(request, 0)
    assert SOURCE.parse(second).messages == [other]
    assert SOURCE.verify(request, 0)
    assert SOURCE.parse(first).messages == [alone]
    assert SOURCE.parse(first).messages == [alone]
