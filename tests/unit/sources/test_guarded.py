"""A source behind a door: another path, forms, a secret inside the body; pure."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfctl.errors import SettingsError
from rfctl.section import build_section
from rfctl.sources.auth.places import Place, blank_value
from rfctl.sources.contract import Request, Source
from rfctl.sources.form_bodies import convert_form, is_form
from rfctl.sources.registry import SPECS
from rfctl.sources.twilio.source import sign as sign_form
from tests.support.recorded import ANY_JSON
from tests.support.signed_requests import MAP, NOW_S, SENDERS, encode, sign

FORM = {"content-type": b"application/x-www-form-urlencoded"}
PUBLIC = "https://bot.example.com"


def build(kind: str = "generic", **settings: Any) -> Source:
    if kind == "generic":
        settings.setdefault("map", MAP)
    spec = SPECS[kind]
    return spec.build_source(
        "shop", build_section(spec.config, {"type": kind, **settings}, "sources.shop"), 1000
    )


FIELDS = [("Body", "hi"), ("From", "+1")]


def twilio_request(path: str, signed_path: str, query: str = "") -> Request:
    signature = sign_form("token", f"{PUBLIC}{signed_path}", FIELDS)
    return Request(
        "POST", path, query, {**FORM, "x-twilio-signature": signature.encode()}, urlencode(FIELDS).encode()
    )


@pytest.mark.parametrize(
    ("path", "signed_path", "is_right"),
    [
        ("/webhook/shop", "/hooks/sms", True),
        ("/webhook/shop/more", "/hooks/sms/more", True),
        ("/webhook/shop", "/webhook/shop", False),
        ("/webhook/shopping", "/hooks/smsping", False),
        ("/webhook/shopping", "/webhook/shopping", True),
    ],
)
def test_signature_is_over_the_path_that_the_provider_calls(
    path: str, signed_path: str, is_right: bool
) -> None:
    source = build("twilio", secrets=["token"], public_url=PUBLIC, public_path="/hooks/sms")
    assert source.verify(twilio_request(path, signed_path), 0) == is_right


def test_rejected_signature_of_twilio_names_the_address_without_its_query() -> None:
    source = build("twilio", secrets=["token"], public_url=PUBLIC + "/", public_path="/hooks/sms/")
    why = source.explain_rejection(twilio_request("/webhook/shop", "/else", "key=hush"), 0)
    assert why == (
        "no secret goes with the header X-Twilio-Signature, over the address https://bot.example.com/hooks/sms"
    )
    assert build("twilio", secrets=["t"], public_url=PUBLIC).explain_rejection(
        Request("POST", "/", "", {}, b""), 0
    ) == ("it does not have the header X-Twilio-Signature")


def test_path_counts_in_the_signature_of_the_two_generic_forms_too() -> None:
    source = build("generic", map={}, secrets=["key"], public_path="/in")
    signed = f"POST:/in:{NOW_S * 1000}:".encode() + b"{}"
    headers = {"x-timestamp": str(NOW_S * 1000).encode(), "x-signature": sign("key", signed).hex().encode()}
    request = Request("POST", "/webhook/shop", "", headers, b"{}")
    assert source.verify(request, NOW_S * 1000)
    assert not build("generic", map={}, secrets=["key"]).verify(request, NOW_S * 1000)
    assert "s old" in source.explain_rejection(request, NOW_S * 1000 + 400_000)


@pytest.mark.parametrize("kind", [kind for kind in SPECS if kind != "generic"])
def test_every_provider_says_which_header_is_missing_and_when_it_is_wrong(kind: str) -> None:
    settings = {"type": kind, **SPECS[kind].examples[0].settings}
    source = SPECS[kind].build_source("x", build_section(SPECS[kind].config, settings, "sources.x"), 100)
    bare = Request("POST", "/webhook/x", "", {}, b"{}")
    assert source.explain_rejection(bare, 0).startswith("it does not have the header ")
    wrong = Request("POST", "/webhook/x", "", {source.proof_headers[0]: b"wrong"}, b"{}")
    assert source.explain_rejection(wrong, 0).startswith("no secret goes with the header ")


@pytest.mark.parametrize("kind", list(SPECS))
def test_any_source_takes_another_auth_instead_of_its_own(kind: str) -> None:
    settings = {
        **SPECS[kind].examples[0].settings,
        "secrets": ["hush"],
        "auth": "token",
        "auth_header": "X-Key",
    }
    config = build_section(SPECS[kind].config, {"type": kind, **settings}, "sources.x")
    source = SPECS[kind].build_source("x", config, 100)
    for value, is_right in ((b"hush", True), (b"other", False)):
        assert source.verify(Request("POST", "/webhook/x", "", {"x-key": value}, b"{}"), 0) == is_right


def read_form(body: str, content_type: bytes = FORM["content-type"]) -> Any:
    source = build(secrets=["hush"])
    return source.open_body(Request("POST", "/", "", {"content-type": content_type}, body.encode()))


def test_form_is_read_as_a_flat_object() -> None:
    source = build(secrets=["hush"])
    opened = read_form(
        "from=%2B7900&text=caf%C3%A9+au+lait&id=1&empty=", b"Application/X-WWW-Form-Urlencoded; charset=utf-8"
    )
    assert json.loads(opened) == {"from": "+7900", "text": "café au lait", "id": "1", "empty": ""}
    [message] = source.parse(opened).messages
    assert (message.phone, message.text, message.id) == ("7900", "café au lait", "1")
    assert json.loads(read_form("a=1&a=2&a=3&b=%ff")) == {"a": ["1", "2", "3"], "b": "\ufffd"}


@pytest.mark.parametrize("body", ['{"text":"a=b"}', ' [{"a":1}]', '\ufeff{"a":1}'])
def test_json_under_the_type_of_a_form_stays_json(body: str) -> None:
    assert read_form(body) == body.encode()
    assert not is_form(FORM["content-type"], body.encode())


def test_body_of_another_type_and_too_many_fields_stay_as_they_are() -> None:
    assert read_form("a=1", b"text/plain") == b"a=1"
    many = "&".join(f"a{number}=1" for number in range(1001))
    assert read_form(many) == many.encode()
    assert read_form("") == b""


def test_signature_of_a_form_is_over_its_bytes_and_its_secret_is_found() -> None:
    body = b"from=1&text=hi&id=1&secret=hush"
    signed = {**FORM, "x-s": encode(sign("key", body)).encode()}
    assert build(auth="hmac-sha256", auth_header="X-S", secrets=["key"]).verify(
        Request("POST", "/", "", signed, body), 0
    )
    source = build(auth={"type": "token", "body": "secret"}, secrets=["hush"])
    request = Request("POST", "/", "", FORM, body)
    assert source.verify(request, 0)
    [message] = source.parse(source.open_body(request)).messages
    assert b"hush" not in message.metadata


MULTIPART = b'multipart/form-data; boundary="x-y"'
PARTS = (
    b'--x-y\r\nContent-Disposition: form-data; name="from"\r\n\r\n7900\r\n'
    b'--x-y\r\nContent-Type: text/plain; charset=utf-8\r\ncontent-disposition: form-data; name="text"\r\n\r\ncaf\xc3\xa9\r\n--no\r\n'
    b'--x-y\r\nContent-Disposition: form-data; name="id"\r\n\r\n1\r\n'
    b'--x-y\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n\xff\xd8\r\n\r\nrest\r\n--x-y--\r\n'
)


def test_multipart_form_is_read_as_a_flat_object_with_the_names_of_its_files() -> None:
    source = build(auth={"type": "token", "body": "id"}, secrets=["1"])
    for content_type in (MULTIPART, b"Multipart/Form-Data;boundary=x-y"):
        request = Request("POST", "/", "", {"content-type": content_type}, PARTS)
        assert source.verify(request, 0)
        fields = {"from": "7900", "text": "café\r\n--no", "id": "1", "file": "a.png"}
        assert json.loads(source.open_body(request)) == fields
    for content_type in (b"multipart/form-data", b"multipart/form-data; boundary=other"):
        assert convert_form(content_type, PARTS) == PARTS
    many = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="a%d"\r\n\r\n\r\n' % place for place in range(1002)
    )
    assert convert_form(b"multipart/form-data; boundary=b", many) == many


@given(st.sampled_from((FORM["content-type"], MULTIPART)), st.binary(max_size=60), st.integers(0, len(PARTS)))
def test_any_bytes_of_a_form_become_json_or_stay(content_type: bytes, raw: bytes, cut: int) -> None:
    for body in (raw, PARTS[:cut] + raw, PARTS[cut:]):
        converted = convert_form(content_type, body)
        assert converted == body or isinstance(json.loads(converted), dict)


def test_secret_deep_in_a_body_is_blanked_and_the_rest_stays() -> None:
    body = b'{"n":1.50,"auth":{"key":"hush","id":[1, 2]},"t":"\\u00e9"}'
    blank = blank_value(body, ("auth", "key"))
    assert blank == b'{"n":1.50,"auth":{"key":"","id":[1, 2]},"t":"\\u00e9"}'
    assert blank_value(body, ("auth", "no")) == body
    assert blank_value(b"[1]", ("auth",)) == b"[1]"


def test_what_is_redacted_is_kept_nowhere() -> None:
    source = build(secrets=["s"], redact=["token", "app.key"])
    body = b'{"from":"7900","text":"hi","id":"1","token":"hush","app":{"key":"hush","n":1}}'
    [message] = source.parse(body).messages
    [unparsed] = source.parse(body.replace(b'"7900"', b"[]")).unparsed
    for kept in (message.metadata, unparsed.body, source.redact(body)):
        assert b"hush" not in kept
        assert b'"app":{"key":"","n":1}' in kept


def test_path_of_what_is_redacted_is_checked() -> None:
    with pytest.raises(SettingsError) as refused:
        build(redact=["a..b"])
    [problem] = refused.value.problems
    assert "sources.shop.redact" in problem


@given(ANY_JSON, st.binary(max_size=30))
def test_blanking_and_reading_are_never_a_crash(body: Any, raw: bytes) -> None:
    for sent in (json.dumps(body).encode(), raw):
        blank_value(sent, ("a", "b"))
        Place.parse("body", "a.0.b").read(Request("POST", "/", "", {}, sent))


def test_unreadable_part_is_kept_without_the_secret() -> None:
    source = SENDERS["vk"].build_source()
    [part] = source.parse(b'{"from":{},"secret":"a-secret-of-the-sender"}').unparsed
    assert b"a-secret" not in source.redact(part.body)
