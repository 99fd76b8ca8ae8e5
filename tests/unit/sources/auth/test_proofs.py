"""How a request proves itself, by each kind of auth; pure."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from rfctl.sources.auth.config import WORDS, parse_auth
from rfctl.sources.auth.proofs import build_proof
from rfctl.sources.contract import Request
from tests.support.signed_requests import BODY, NOW_S, SENDERS, URL, Sender, encode, make_jwt, sign

OTHERS = {"standard webhooks": "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "basic": "user:other"}
NAMES = list(SENDERS)
NOW_MS = NOW_S * 1000


def other_secret(name: str) -> str:
    return OTHERS.get(name, "another-secret")


@pytest.mark.parametrize("name", NAMES)
def test_right_proof_is_accepted_also_by_the_secret_before(name: str) -> None:
    sender = SENDERS[name]
    request = sender.build_request()
    assert sender.build_source().verify(request, NOW_MS)
    assert sender.build_source(other_secret(name), sender.secret).verify(request, NOW_MS)
    assert sender.build_source(sender.secret, other_secret(name)).verify(request, NOW_MS)


@pytest.mark.parametrize("name", NAMES)
def test_proof_by_another_secret_is_rejected_and_no_value_is_told(name: str) -> None:
    sender, secret = SENDERS[name], other_secret(name)
    request, source = sender.build_request(), sender.build_source(secret)
    assert not source.verify(request, NOW_MS)
    why = source.explain_rejection(request, NOW_MS)
    assert why
    values = [value.decode() for value in request.headers.values()]
    assert not [value for value in (secret, sender.secret, *values) if value in why]


@pytest.mark.parametrize("name", NAMES)
def test_request_without_proof_is_rejected_by_the_name_of_what_is_missing(name: str) -> None:
    source = SENDERS[name].build_source()
    bare = Request("POST", "/webhook/shop", "", {}, BODY)
    assert not source.verify(bare, NOW_MS)
    assert source.explain_rejection(bare, NOW_MS).startswith("it does not have the ")


@pytest.mark.parametrize("name", [name for name in NAMES if SENDERS[name].covers_body])
def test_another_body_under_the_same_proof_is_rejected(name: str) -> None:
    sender = SENDERS[name]
    forged = structs.replace(sender.build_request(), body=BODY.replace(b"hi", b"ho"))
    assert not sender.build_source().verify(forged, NOW_MS)


@pytest.mark.parametrize("name", [name for name in NAMES if SENDERS[name].has_time])
@pytest.mark.parametrize(
    ("off_s", "words"), [(-3600, ("s old", "expired")), (3600, ("s ahead", "not valid yet"))]
)
def test_right_signature_of_another_time_is_rejected_with_the_age(
    name: str, off_s: int, words: tuple[str, str]
) -> None:
    sender = SENDERS[name]
    source, replayed = sender.build_source(), sender.build_request(at_s=NOW_S + off_s)
    assert not source.verify(replayed, NOW_MS)
    why = source.explain_rejection(replayed, NOW_MS)
    assert any(word in why for word in words)
    assert "clock wrong?" in why
    assert sender.build_source().verify(replayed, (NOW_S + off_s) * 1000)


@pytest.mark.parametrize("name", NAMES)
def test_source_with_empty_secrets_verifies_nothing(name: str) -> None:
    sender = SENDERS[name]
    proof = build_proof(parse_auth(sender.settings.get("auth", "token")), [""], URL)
    headers, query = sender.sign("", BODY, NOW_S)
    lower = {name.lower(): value.encode() for name, value in headers.items()}
    for request in (Request("POST", "/webhook/shop", query, lower, BODY), Request("POST", "/", "", {}, b"")):
        assert proof.find_fault(request, NOW_MS)


@pytest.mark.parametrize("name", NAMES)
def test_time_of_a_signature_that_is_no_number_is_rejected(name: str) -> None:
    sender = SENDERS[name]
    for time in (b"yesterday", b"9" * 30, b"-1", b"\xff"):
        request = sender.build_request()
        headers = {key: time if "timestamp" in key else value for key, value in request.headers.items()}
        if headers != request.headers:
            assert not sender.build_source().verify(structs.replace(request, headers=headers), NOW_MS)


def hmac_fault(request: Request, secrets: list[str] | None = None, **table: Any) -> str:
    proof = build_proof(parse_auth({"type": "hmac", **table}), secrets or ["key"], URL)
    return proof.find_fault(request, NOW_MS)


def request_with(signature: str, **more: Any) -> Request:
    return structs.replace(Request("POST", "/in", "", {"x-s": signature.encode()}, b"{}"), **more)


def test_signature_is_known_by_its_length_whatever_its_encoding() -> None:
    digest = sign("key", b"{}")
    url_safe = encode(digest).translate(str.maketrans("+/", "-_"))
    for text in (
        digest.hex(),
        digest.hex().upper(),
        "SHA256=" + digest.hex(),
        encode(digest),
        url_safe,
        url_safe.rstrip("="),
    ):
        assert hmac_fault(request_with(text), header="X-S") == ""
    for text in (
        digest.hex()[:-2],
        digest.hex() + "00",
        "sha1=" + digest.hex(),
        "z" * 64,
        encode(digest[:-1]),
    ):
        assert "no signature of 32 bytes" in hmac_fault(request_with(text), header="X-S")


@pytest.mark.parametrize(
    ("encoding", "secret"), [("hex", "00ff10"), ("base64", "AP8Q"), ("base64", "whsec_AP8Q")]
)
def test_secret_may_be_written_in_hex_and_base64(encoding: str, secret: str) -> None:
    signature = sign(b"\x00\xff\x10", b"{}").hex()
    assert hmac_fault(request_with(signature), [secret], header="X-S", secret_encoding=encoding) == ""


def test_template_signs_what_it_names() -> None:
    request = Request(
        "POST",
        "/in",
        "a=b&t=9",
        {"x-s": b"", "x-id": b"7", "content-type": b"application/json"},
        b'{"u":{"id":5}}',
    )
    parts = {
        "{method} {path}": b"POST /in", "{url}": b"https://bot.example.com/in?a=b&t=9", "{query_string}": b"a=b&t=9",
        "{header:X-Id}|{query:t}|{body:u.id}": b"7|9|5", "{body_sha256}": hashlib.sha256(request.body).hexdigest().encode(),
        "{body:u.no}{body}": request.body,
    }  # fmt: skip
    for template, signed in parts.items():
        headers = {**request.headers, "x-s": sign("key", signed).hex().encode()}
        assert hmac_fault(structs.replace(request, headers=headers), header="X-S", signed=template) == "", (
            template
        )


def test_rejected_signature_of_an_address_names_it_without_its_query() -> None:
    fault = hmac_fault(request_with("00" * 32, query="token=hush"), header="X-S", signed="{url}{body}")
    assert fault == (
        "no secret gives the signature in the header X-S, over the address https://bot.example.com/in"
    )


def jwt_fault(payload: dict[str, Any], body: bytes = b"{}", **table: Any) -> str:
    headers = {"authorization": f"Bearer {make_jwt('key', payload)}".encode()}
    proof = build_proof(parse_auth({"type": "jwt", **table}), ["key"], URL)
    return proof.find_fault(Request("POST", "/in", "", headers, body), NOW_MS)


@pytest.mark.parametrize(
    ("claims", "table", "says"),
    [
        ({}, {}, ""),
        ({"exp": NOW_S - 59}, {}, ""),
        ({"exp": NOW_S - 61}, {}, "expired 61 s ago"),
        ({"exp": NOW_S - 1}, {"leeway_s": 0}, "expired 1 s ago"),
        ({"exp": "soon"}, {}, "expired"),
        ({"exp": None}, {}, "expired"),
        ({"nbf": NOW_S + 61}, {}, "not valid yet for 61 s"),
        ({"nbf": NOW_S + 59}, {}, ""),
        ({}, {"max_age_s": 60}, "has no iat"),
        ({"iat": NOW_S - 61}, {"max_age_s": 60}, "61 s old"),
        ({"iat": NOW_S - 60}, {"max_age_s": 60}, ""),
        ({"iss": "Vonage"}, {"claims": {"iss": "Vonage"}}, ""),
        ({"iss": "vonage"}, {"claims": {"iss": "Vonage"}}, "its iss is not the one of auth.claims"),
        ({"app": 1}, {"claims": {"app": True}}, "its app is not the one"),
        ({}, {"claims": {"iss": "Vonage"}}, "its iss is not the one"),
        ({"h": hashlib.sha256(b"{}").hexdigest()}, {"payload_hash": "h"}, ""),
        ({"h": hashlib.sha256(b"[]").hexdigest()}, {"payload_hash": "h"}, "its h is not of this body"),
        ({"h": ["é"]}, {"payload_hash": "h"}, "its h is not of this body"),
        ({"u": hashlib.sha256(b"https://bot.example.com/in").hexdigest()}, {"url_hash": "u"}, ""),
        ({"u": "é"}, {"url_hash": "u"}, "its u is not of the address https://bot.example.com/in"),
    ],
)  # fmt: skip
def test_claims_of_a_token_are_judged_by_the_settings(
    claims: dict[str, Any], table: dict[str, Any], says: str
) -> None:
    fault = jwt_fault(claims, **table)
    assert says in fault
    assert bool(says) == bool(fault)


def test_token_of_another_algorithm_is_rejected() -> None:
    for algorithm in ("HS512", "none"):
        text = make_jwt("key", {}, "HS512") if algorithm == "HS512" else "eyJhbGciOiJub25lIn0.e30."
        request = Request("POST", "/", "", {"authorization": text.encode()}, b"{}")
        proof = build_proof(parse_auth("jwt"), ["key"])
        assert "no secret has signed the token" in proof.find_fault(request, NOW_MS)


def test_password_may_have_a_colon_and_the_word_any_case() -> None:
    proof = build_proof(parse_auth("basic"), ["user:a:b"])
    for value, is_right in (
        (f"basic {encode(b'user:a:b')}", True), (f"Basic {encode(b'user:a')}", False), ("Basic é", False),
        (f"Bearer {encode(b'user:a:b')}", False), ("Basic", False),
    ):  # fmt: skip
        request = Request("POST", "/", "", {"authorization": value.encode()}, b"")
        assert (proof.find_fault(request, NOW_MS) == "") == is_right


@given(
    st.sampled_from(NAMES),
    st.dictionaries(st.sampled_from(("authorization", "x-hub-signature-256", "x-slack-signature", "x-sign", "webhook-signature",
        "x-slack-request-timestamp", "messagebird-signature", "messagebird-signature-jwt", "content-type", "x-signature",
        "x-timestamp", "webhook-timestamp")), st.binary(max_size=90) | st.sampled_from((b"v0=", b"t=1,v1=", b"v1,", b"Basic \xff",
        b"application/x-www-form-urlencoded", b"a.b.c", b"eyJhbGciOiJIUzI1NiJ9..", b"1"))),
    st.text(max_size=40) | st.sampled_from(("token=%ff", "&" * 200, "sig=" + "0" * 128)),
    st.binary(max_size=60) | st.sampled_from((b'{"secret":{}}', b'{"secret":1e999}', b"secret=%ff", b"[" * 3000, b"\xef\xbb\xbf{}")),
)  # fmt: skip
def test_strange_request_is_rejected_and_never_a_crash(
    name: str, headers: dict[str, bytes], query: str, body: bytes
) -> None:
    source = SENDERS[name].build_source()
    request = Request("POST", "/webhook/shop", query, headers, body)
    assert not source.verify(request, NOW_MS)
    assert source.explain_rejection(request, NOW_MS)
    source.open_body(request)
    source.redact(body)


def test_every_word_has_a_table_that_works() -> None:
    for word, table in WORDS.items():
        assert parse_auth(word) == parse_auth(dict(table))


def test_secret_in_a_body_is_kept_nowhere() -> None:
    sender: Sender = SENDERS["vk"]
    source = sender.build_source()
    assert b"a-secret" not in source.redact(sender.body)
    [message] = source.parse(sender.body).messages
    assert b"a-secret" not in message.metadata
    assert json.loads(message.metadata)["raw"]["secret"] == ""
