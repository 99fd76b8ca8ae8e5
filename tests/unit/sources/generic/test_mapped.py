from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfctl.errors import SettingsError
from rfctl.section import build_section
from rfctl.sources.contract import ParseResult, Request, Source, UnparsedError
from rfctl.sources.generic.config import GenericConfig
from rfctl.sources.generic.map_check import check_mapping
from rfctl.sources.generic.mapped import Mapped
from rfctl.sources.generic.node_form import sign
from rfctl.sources.parsing import decode_part
from rfctl.sources.registry import SPECS
from tests.support.recorded import ANY_JSON, Case, cases, survived

CASES = cases("mapped")
SIMPLE = {"phone": "from", "text": "text", "id": "id", "chat": "chat", "time": "at", "type": "kind"}
LISTED = {"each": "data.list", "phone": "from", "text": "text", "id": "id", "account": "/line"}
SECRETS = ["old", "new"]
NOW = 1_790_000_000_000


def source(mapping: dict[str, str] | None = None, **settings: object) -> Source:
    secrets = settings.pop("secrets", SECRETS)
    table = {"type": "generic", "company": "7", "map": mapping or SIMPLE, **settings}
    config = build_section(GenericConfig, table, "sources.shop").model_copy(update={"secrets": secrets})
    return Mapped("shop", config, 1000, make_id=lambda: "made")


def mapped_as(case: Case) -> Source:
    return source(case.expected["mapping"])


def read_one(**fields: object) -> Any:
    body = {"from": "1", "text": "x", "id": "a", **fields}
    return source().parse(json.dumps(body).encode())


def test_network_of_a_mapped_message_is_what_is_set() -> None:
    body = b'{"from":"1","text":"x","id":"a"}'
    assert [source(platform=name).parse(body).messages[0].platform for name in ("", "instagram")] == [
        "",
        "instagram",
    ]


def vouched(headers: dict[str, bytes], body: bytes = b"{}", **settings: Any) -> bool:
    table = {"type": "generic", "map": SIMPLE, **settings}
    config = build_section(GenericConfig, {**table, "secrets": []}, "sources.shop")
    config = config.model_copy(update={"secrets": settings.get("secrets", SECRETS)})
    guarded = SPECS["generic"].build_source("shop", config, 1000)
    return guarded.verify(Request("POST", "/in", "", headers, body), NOW)


def test_unparsed_message_is_parsed_after_its_mapping_is_fixed() -> None:
    body = (
        b'{"line":"l1","data":{"list":[{"from":"1","text":"a","uid":"u1"},{"from":"2","text":"b","id":"2"}]}}'
    )
    first = source(LISTED).parse(body)
    assert [message.id for message in first.messages] == ["2"]
    [later] = source({**LISTED, "id": "uid"}).parse(first.unparsed[0].body).messages
    assert (later.id, later.text, later.account) == ("u1", "a", "l1")
    assert first.unparsed[0].why == "message 0: no id"


def test_the_element_is_kept_byte_for_byte() -> None:
    body = (
        b'{"data": {"list": [ {"from": 1, "id": 1, "text":  "a", "n": 1.10, "big": 123456789012345678901} ]}}'
    )
    [message] = source(LISTED).parse(body).messages
    assert (
        b'"raw":{"from": 1, "id": 1, "text":  "a", "n": 1.10, "big": 123456789012345678901}'
        in message.metadata
    )


def test_a_chat_that_is_the_sender_is_a_one_to_one_chat() -> None:
    assert read_one(**{"from": "79001@c.us", "chat": "+7 9001"}).messages[0].chat == ""
    assert read_one(**{"from": "79001@c.us", "chat": "1@g.us"}).messages[0].chat == "1@g.us"


def test_the_name_of_the_sender_is_in_the_metadata() -> None:
    reading = source({**SIMPLE, "name": "who"}).parse(b'{"from":"1","text":"x","id":"a","who":"Ira"}')
    assert json.loads(reading.messages[0].metadata)["senderName"] == "Ira"


@pytest.mark.parametrize(
    ("at", "sent_ms"),
    [
        (1767225600, 1767225600000),
        ("1767225600123", 1767225600123),
        ("2026-01-01T00:00:00Z", 1767225600000),
        ("2026-01-01T03:00:00+03:00", 1767225600000),
        ("2026-01-01 00:00:00", 1767225600000),
        ("soon", None),
        (True, None),
        ([1], None),
        (-5, None),
        (None, None),
    ],
)
def test_wrong_time_costs_no_message(at: object, sent_ms: int | None) -> None:
    assert read_one(at=at).messages[0].sent_ms == sent_ms


@pytest.mark.parametrize("flag", [None, False, 0, "", "0", "false", [], {}])
def test_falsy_or_missing_skip_if_skips_nothing(flag: object) -> None:
    skipping = source({**SIMPLE, "skip_if": "own"})
    body = json.dumps({"from": "1", "text": "x", "id": "a", "own": flag}).encode()
    assert len(skipping.parse(body).messages) == 1


@pytest.mark.parametrize("flag", [True, 1, "true", "yes", [0]])
def test_truthy_skip_if_counts_and_skips_the_message(flag: object) -> None:
    skipping = source({**SIMPLE, "skip_if": "own"})
    body = json.dumps({"from": "1", "text": "x", "id": "a", "own": flag}).encode()
    assert skipping.parse(body) == ParseResult(skipped={"own": 1})


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"from": 7.5}, "the phone is 7.5"),
        ({"from": True}, "the phone is of type bool"),
        ({"from": {"id": "1"}}, "the phone is of type dict"),
        ({"from": None}, "no sender"),
        ({"from": "1" * 257}, "the phone is longer"),
        ({"id": None}, "no id"),
        ({"id": 1e21}, "the id is 1e+21"),
        ({"id": "i" * 257}, "the id is longer"),
        ({"chat": 1.5}, "the chat is 1.5"),
        ({"text": ["x"]}, "the text is of type list"),
        ({"text": "ж" * 501}, "longer than 1000 bytes"),
        ({"text": ""}, "neither text nor media"),
    ],
)
def test_unreadable_message_is_unparsed_with_a_reason(fields: dict[str, Any], why: str) -> None:
    reading = read_one(**fields)
    assert reading.messages == []
    assert [why in unparsed.why for unparsed in reading.unparsed] == [True]


def test_half_an_emoji_costs_no_message() -> None:
    [message] = read_one(text="hi \ud83d").messages
    assert message.text == "hi \ufffd"
    assert json.loads(message.metadata)["raw"]["text"] == "hi \ufffd"


@pytest.mark.parametrize(
    "body",
    [b"", b"not json", b"from=1&text=x", b"\xff", b'{"a":NaN}', b'{"a":1e999}', b"[" * 5000, b'{"a":"\xff"}'],
)
def test_body_that_is_not_json_is_named(body: bytes) -> None:
    with pytest.raises(UnparsedError):
        source().parse(body)


@pytest.mark.parametrize("body", [b"[]", b"5", b'{"data":{"list":{}}}', b'{"data":[]}', b'{"data":"x"}'])
def test_body_with_something_else_in_the_place_of_the_list_is_named(body: bytes) -> None:
    with pytest.raises(UnparsedError, match="no list of messages"):
        source(LISTED).parse(body)


@pytest.mark.parametrize("depth", range(900, 1000, 3))
def test_nesting_near_what_can_be_read_is_no_crash(depth: int) -> None:
    body = b'{"data":{"list":[{"from":"1","text":"x","z":' + b"[" * depth + b"]" * depth + b"}]}}"
    try:
        reading = source(LISTED).parse(body)
    except UnparsedError:
        return
    assert len(reading.messages) + len(reading.unparsed) == 1


@given(st.lists(ANY_JSON | st.dictionaries(st.sampled_from(("from", "text", "id")), ANY_JSON), max_size=4))
def test_every_element_comes_out_once_as_a_message_or_as_unparsed(elements: list[Any]) -> None:
    reading = survived(source(LISTED), json.dumps({"data": {"list": elements}}).encode())
    assert reading is not None
    assert len(reading.messages) + len(reading.unparsed) == len(elements)


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ({"text": "t"}, "`phone` is missing"),
        ({"phone": "p"}, "neither `text` nor `media_url` nor `media_id`"),
        ({**SIMPLE, "colour": "c"}, "unknown key `colour`"),
        ({**SIMPLE, "id": ""}, "`id`: `` is no path"),
        (
            {**SIMPLE, "text": "entry.*.text"},
            "`text`: `entry.*.text` can never match: `*` is no name of a field. Write an index for it, as in "
            "entry.0.text, or the path of the list as `each`",
        ),
        ({**SIMPLE, "each": "entry[*].messaging[*]"}, "Write entry.*.messaging.*"),
        ({**SIMPLE, "text": "$.data.text"}, "`$` is no name of a field. Write data.text"),
        ({**SIMPLE, "text": "data[0].text"}, "`data[0]` is no name of a field. Write data.0.text"),
        ({**SIMPLE, "text": "data[*].text"}, "Write an index for it, as in data.0.text"),
        ({**SIMPLE, "text": "data['text']"}, "Write data.text"),
        ({**SIMPLE, "text": "/data/0/text"}, "`data/0/text` is no name of a field. Write data.0.text"),
        ({**SIMPLE, "text": "data. text"}, "Write data.text"),
        ({**SIMPLE, "id": "a..b"}, "`id`: `a..b` is no path"),
        ({**SIMPLE, "id": "/a."}, "`id`: `/a.` is no path"),
    ],
)
def test_a_mapping_that_cannot_work_is_named(mapping: dict[str, str], says: str) -> None:
    [problem] = check_mapping(mapping)
    assert says in problem
    with pytest.raises(SettingsError) as refused:
        source(mapping)
    assert refused.value.problems == [f"sources.shop.map: {problem}"]


def test_a_mapping_that_works_has_no_problems() -> None:
    for case in CASES:
        assert check_mapping(case.expected["mapping"]) == []
    assert check_mapping({"phone": "p", "media_id": "m"}) == []


def test_an_unknown_way_to_verify_is_refused_when_it_is_set() -> None:
    with pytest.raises(SettingsError):
        source(auth="password")


def test_a_token_verifies_in_its_header_with_or_without_bearer() -> None:
    assert vouched({"authorization": b"Bearer new"})
    assert vouched({"authorization": b"old"})
    assert vouched({"x-token": b"new"}, auth="token", auth_header="X-Token")
    assert not vouched({"authorization": b"new"}, auth_header="x-token")
    assert not vouched({"authorization": b"other"})
    assert not vouched({})
    assert not vouched({}, secrets=("",))
    assert not vouched({"authorization": b""}, secrets=())


def test_an_hmac_of_the_body_verifies_as_hex_and_as_base64() -> None:
    digest = hmac.new(b"new", b"{}", hashlib.sha256).digest()
    for written in (
        digest.hex(),
        digest.hex().upper(),
        "sha256=" + digest.hex(),
        base64.b64encode(digest).decode(),
    ):
        value = {"x-sig": written.encode()}
        assert vouched(value, auth="hmac-sha256", auth_header="X-Sig")
        assert not vouched(value, b"{} ", auth="hmac-sha256", auth_header="X-Sig")
        assert not vouched(value, auth="hmac-sha256", auth_header="x-sig", secrets=("other",))
    assert not vouched({"x-sig": b"new"}, auth="hmac-sha256", auth_header="x-sig")


def test_the_node_services_signature_verifies() -> None:
    signed = {
        "x-timestamp": str(NOW).encode(),
        "x-signature": sign("old", "POST", "/in", str(NOW), b"{}").encode(),
    }
    assert vouched(signed, auth="node")
    assert not vouched(signed, b"[]", auth="node")
    assert not vouched({"authorization": b"old"}, auth="node")


@given(st.sampled_from(("token", "hmac-sha256", "node")), st.binary(max_size=80))
def test_a_strange_header_is_refused_and_never_a_crash(auth: str, header: bytes) -> None:
    if header.strip() not in (b"old", b"new"):
        headers = {"authorization": header, "x-timestamp": str(NOW).encode(), "x-signature": header}
        assert not vouched(headers, auth=auth)


def test_a_get_is_refused_and_nothing_needs_to_be_hidden() -> None:
    assert source().handshake(Request("GET", "/", "", {}, b"")) is None
    assert source().redact(b'{"a": 1}') == b'{"a": 1}'


def test_many_unreadable_messages_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is kept by itself, and to build its body costs nothing by the others."""
    sizes: list[int] = []

    def decode(raw: bytes, decoder: Any) -> Any:
        sizes.append(len(raw))
        return decode_part(raw, decoder)

    monkeypatch.setattr("rfctl.sources.generic.json_path.decode_part", decode)
    body = b'{"line":"l1","data":{"list":[' + b",".join([b"[]"] * 2000) + b"]}}"
    kept = source(LISTED).parse(body).unparsed
    assert [each.body for each in kept] == [b'{"line":"l1","data":{"list":[[]]}}'] * 2000
    assert sum(sizes) < 30 * len(body)
