from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfctl.errors import BadRequestError
from rfctl.sources.contract import Request, Source
from rfctl.sources.generic import node_form as generic
from rfctl.sources.generic.config import GenericConfig
from rfctl.sources.generic.node_form import Limits, NodeForm, parse_messages, sign, verify


def read(body: object, **limits: Any) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_messages(raw, Limits(**limits), make_id=lambda: "made")


def test_the_single_form() -> None:
    [item] = read(
        {
            "from": "+7 900",
            "message": "hi",
            "timestamp": 1700000000,
            "id": "x",
            "companyId": 962302,
            "metadata": {"a": []},
        }
    )
    assert (item.phone, item.text, item.sent_ms, item.id, item.company) == (
        "7900",
        "hi",
        1700000000000,
        "x",
        962302,
    )
    assert item.metadata == b'{"a": []}'


def test_the_form_of_several_gives_its_company_to_all() -> None:
    several = read(
        {
            "messages": [{"from": "1", "body": "a"}, {"from": 2, "message": "b", "messageId": 5}],
            "companyId": "x",
        }
    )
    assert [(message.phone, message.text, message.id, message.company) for message in several] == [
        ("1", "a", "made", "x"),
        ("2", "b", "5", "x"),
    ]


def test_a_message_that_names_no_company_gets_the_sources() -> None:
    assert read({"from": "1", "message": "a"}, company="77")[0].company == "77"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"not json", "not JSON"),
        (b"\xff", "not UTF-8"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        ([], "wrong shape"),
        ({"from": 1.5, "message": "x"}, "wrong shape"),
        ({"message": "x"}, "`from` is missing"),
        ({"from": " ", "message": "x"}, "`from` is missing"),
        ({"from": "1" * 300, "message": "x"}, "longer than 256"),
        ({"from": "1"}, "`message` is missing"),
        ({"from": "1", "message": "x" * 101}, "longer than 100 bytes"),
        ({"from": "1", "message": "ж" * 51}, "longer than 100 bytes"),
        ({"from": "1", "message": "x", "metadata": [1]}, "`metadata` is not an object"),
        ({"from": "1", "message": "x", "timestamp": "soon"}, "no time"),
        ({"from": "1", "message": "x", "timestamp": -5}, "no time"),
        ({"from": "1", "message": "x", "messageId": "i" * 300}, "`messageId` is longer"),
        ({"messages": []}, "empty"),
        ({"messages": [{"from": "1", "message": "x"}, {"from": "2"}]}, "messages[1]: `message` is missing"),
        (b'{"from":"1","message":"x","metadata":{"a":NaN}}', "not JSON"),
        (b'{"from":"1","message":"x","metadata":' + b"[" * 5000 + b"]" * 5000 + b"}", "JSON"),
    ],
)
def test_bad_input_is_named(body: object, says: str) -> None:
    with pytest.raises(BadRequestError) as problem:
        read(body, max_text_bytes=100)
    assert says in problem.value.fact


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_in_words(body: bytes) -> None:
    try:
        read(body)
    except BadRequestError as problem:
        assert problem.fact


def test_half_an_emoji_is_shown_as_such_and_the_message_kept() -> None:
    assert read(b'{"from":"1","message":"a\\ud83d b"}')[0].text == "a\ufffd b"
    assert read(b'{"from":"1","message":"\\ud83d\\ude00 \\ude00"}')[0].text == "😀 \ufffd"
    assert read(b'{"from":"1","message":"\\\\ud83d"}')[0].text == "\\ud83d"


def test_iso_times_are_read() -> None:
    assert (
        read({"from": "1", "message": "x", "timestamp": "2026-01-01T00:00:00Z"})[0].sent_ms == 1767225600000
    )
    assert read({"from": "1", "message": "x", "timestamp": "1767225600"})[0].sent_ms == 1767225600000


NOW = 1_790_000_000_000


def check(
    secrets: Any, signature: Any, *, timestamp: Any = str(NOW).encode(), body: Any = b"{}", now: Any = NOW
) -> Any:
    return verify(
        secrets, method="POST", path="/p", timestamp=timestamp, signature=signature, body=body, now_ms=now
    )


def test_any_of_the_secrets_verifies() -> None:
    signature = hmac.new(b"two", f"POST:/p:{NOW}:{{}}".encode(), hashlib.sha256).hexdigest().encode()
    assert sign("two", "POST", "/p", str(NOW), b"{}").encode() == signature
    assert check(["one", "two"], signature)
    assert not check(["one"], signature)
    assert not check(["two"], signature, body=b"{} ")
    assert not check(["two"], signature, now=NOW + generic.WINDOW_MS + 1)
    assert not check(["two"], signature, timestamp=b"x")
    assert not check([""], sign("", "POST", "/p", str(NOW), b"{}").encode())


@given(st.binary(max_size=80))
def test_a_strange_signature_is_refused_and_never_a_crash(signature: bytes) -> None:
    assert not check(["s"], signature)


SOURCE: Source = NodeForm(
    "shop", GenericConfig(type="generic", secrets=["old", "new"], company="7"), 100, make_id=lambda: "made"
)


def test_the_source_signs_its_messages_with_its_own_name() -> None:
    reading = SOURCE.parse(b'{"from":"+7 900","message":"hi"}')
    [item] = reading.messages
    assert (item.channel, item.platform, item.company, item.id) == ("shop", "whatsapp", "7", "made")
    assert (reading.unparsed, reading.skipped) == ([], {})


def test_network_of_the_messages_can_be_set() -> None:
    config = GenericConfig(type="generic", secrets=["s"], platform="telegram")
    for body in (b'{"from":"7","message":"short"}', b'{"messages":[{"from":"7","message":"the long way"}]}'):
        [item] = NodeForm("shop", config).parse(body).messages
        assert item.platform == "telegram"


def test_the_source_tells_its_caller_what_is_wrong() -> None:
    with pytest.raises(BadRequestError, match="longer than 100 bytes"):
        SOURCE.parse(json.dumps({"from": "1", "message": "x" * 101}).encode())


def test_the_source_verifies_what_either_secret_signed() -> None:
    def request(secret: str, body: bytes = b"{}") -> Request:
        signed = {
            "x-timestamp": str(NOW).encode(),
            "x-signature": sign(secret, "POST", "/p", str(NOW), b"{}").encode(),
        }
        return Request("POST", "/p", "", signed, body)

    assert SOURCE.verify(request("old"), NOW)
    assert SOURCE.verify(request("new"), NOW)
    assert not SOURCE.verify(request("other"), NOW)
    assert not SOURCE.verify(request("new", b"{} "), NOW)
    assert not SOURCE.verify(Request("POST", "/p", "", {}, b"{}"), NOW)
    assert SOURCE.handshake(Request("GET", "/p", "", {}, b"")) is None
    assert SOURCE.redact(b"{}") == b"{}"


def test_half_an_emoji_in_the_metadata_is_mended_too() -> None:
    [item] = read(rb'{"from":"1","message":"x","metadata":{"name":"\ude00","path":"\\ud83d"}}')
    assert json.loads(item.metadata) == {"name": "\ufffd", "path": "\\ud83d"}
