"""The short way through common messages gives what the long way gives; pure."""

from __future__ import annotations

import copy
import json
import random
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfctl.errors import BadRequestError
from rfctl.section import build_section
from rfctl.sources.contract import ParseResult, Source, UnparsedError
from rfctl.sources.generic.config import GenericConfig
from rfctl.sources.generic.node_form import NodeForm
from rfctl.sources.twilio.fields import MAX_FIELDS, read_fields
from rfctl.sources.twilio.plain import read_form
from tests.support.recorded import cases
from tests.unit.sources.test_recorded import source_of

SHORT = {
    "generic": "rfctl.sources.generic.node_form.read_plain",
    "whatsapp-cloud": "rfctl.sources.whatsapp_cloud.source.read_plain",
    "telegram": "rfctl.sources.telegram.source.read_plain",
    "twilio": "rfctl.sources.twilio.source.read_plain",
}
"""Kind → the function that finds a plain body. The long way is taken when it finds none."""
GENERIC = (
    {"from": "79001234567", "message": "hi there", "messageId": "1", "companyId": "962302"},
    {"from": "+7 900 123-45-67", "message": "запишите меня", "messageId": "2", "companyId": 7, "timestamp": 1_790_416_800_000},
    {"from": "tg:@anna", "message": " ", "messageId": "3", "companyId": "", "timestamp": 1_790_416_800, "type": "text"},
    {"from": "79001234567@c.us", "message": "\u2028", "messageId": "4", "companyId": None, "timestamp": 0},
    {"from": 79001234567, "body": "hi", "id": 5, "metadata": {"a": 1}, "simulated": True},
    {"companyId": 7, "messages": [{"from": "1", "message": "hi", "messageId": "6"}, {"from": "2", "body": "ho"}]},
)  # fmt: skip
"""Requests of the source generic; the first four are plain."""
ODD: list[Any] = [
    -1, 99_999_999_999, 10**11, 10**15, 10**15 - 1, 2**62, 2**63, 10**310, "x" * 256, "x" * 257, "x" * 65_536, "я" * 32_769, "x" * 64,
    "x" * 65, "+", "+7", "٣", "²", "@c.us", "7@c.us", "1790416800", "2026-11-29T08:00:00Z", False, "\u3164", "video",
    None, True, 0, 1, 79001234567, 10**19, 1.5, "", " ", "text", "79001234567", "15550001111", "x" * 300, [], {}, [None],
    {"body": "hi"}, {"body": "\u200b"}, {"body": ""}, "\ud83d", {"id": None}, {"id": "wamid.0"},
    {"body": 1}, {"a": [1] * 3}, "messages", "history", "private", "group",
]  # fmt: skip
NAMES = (
    "from", "id", "type", "text", "timestamp", "context", "from_user_id", "group_id", "errors", "statuses", "messages",
    "wa_id", "user_id", "username", "is_bot", "entities", "sender_chat", "new_chat_title", "chat", "date", "x",
    "message_thread_id", "edited_message", "via_bot", "field", "value", "title", "message", "messageId", "companyId",
    "body", "metadata", "simulated",
)  # fmt: skip
FAULTS = (
    b"1e999", b"1.0", b"1e3", b"9" * 400, b"-0", b"NaN", b"[" * 60 + b"]" * 60, b'"\xff"', b'"\\ud83d"', b'{"a":1,"a":2}',
    b"01",
)  # fmt: skip


def change_randomly(value: Any, chance: random.Random) -> None:
    """Change one place of a decoded body: set, remove, repeat or shuffle."""
    places: list[Any] = []

    def collect(part: Any) -> None:
        if isinstance(part, dict | list) and part:
            places.append(part)
            for inner in part.values() if isinstance(part, dict) else part:
                collect(inner)

    def choose(values: list[Any]) -> Any:
        return copy.deepcopy(chance.choice(values))

    collect(value)
    place = chance.choice(places)
    if isinstance(place, list):
        chance.choice((place.reverse, place.pop, lambda: place.append(choose([place[0], *ODD]))))()
    elif chance.random() < 0.3:
        del place[chance.choice(list(place))]
    else:
        place[chance.choice([*place, chance.choice(NAMES)])] = choose(ODD)


def spoil_randomly(body: bytes, chance: random.Random) -> bytes:
    """Put a fault, or a name that is there twice, into the bytes of a body."""
    fault = chance.choice(FAULTS)
    name = json.dumps(chance.choice(NAMES)).encode()
    braces = [place for place, byte in enumerate(body) if byte == ord("{")]
    place = chance.choice(braces) + 1
    rest = body[place:]
    return body[:place] + name + b":" + fault + (b"" if rest.lstrip()[:1] == b"}" else b",") + rest


def vary(body: bytes, chance: random.Random) -> bytes:
    value = json.loads(body)
    for _ in range(chance.choice((0, 1, 1, 2, 3))):
        if value:
            change_randomly(value, chance)
    changed = json.dumps(value, ensure_ascii=chance.random() < 0.5).encode(errors="replace")
    return spoil_randomly(changed, chance) if chance.random() < 0.3 and b"{" in changed else changed


FORM_NAMES = (
    "Body", "From", "To", "AccountSid", "MessageSid", "SmsMessageSid", "SmsSid", "MessageType", "ProfileName", "ButtonPayload",
    "ButtonText", "CallSid", "ExternalUserId", "InteractiveData", "Latitude", "ListId", "ListTitle", "Longitude",
    "MediaContentType0", "MediaUrl0", "MessageStatus", "OriginalRepliedMessageSid", "SmsStatus", "Label", "Address", "x", "",
)  # fmt: skip
LARGE = "я" * 40_000
FORM_VALUES = (
    "", " ", "text", "1.5", "+79001234567", "whatsapp:+79001234567", "rcs:x", ":", "\u200b", "x" * 257, "sent",
    "received", "odd", "sticker", "{" * 60, "1e999", '{"a":1}', "image/png", "%", "a+b&c=d",
)  # fmt: skip


def vary_form(body: bytes, chance: random.Random) -> bytes:
    """Change a form: set, remove, repeat or shuffle fields, or spell one in another way."""
    fields = parse_qsl(body.decode(), keep_blank_values=True)
    for _ in range(chance.choice((0, 1, 1, 2, 3))):
        place = chance.randrange(len(fields) or 1)
        value = LARGE if chance.random() < 0.01 else chance.choice(FORM_VALUES)  # each takes 20 ms
        change = chance.randrange(5)
        if change == 0:
            fields[place : place + 1] = []
        elif change == 1:
            chance.shuffle(fields)
        elif change == 2 and fields:
            fields[place] = (fields[place][0], value)
        else:
            fields.insert(place, (chance.choice(FORM_NAMES), value))
    changed = urlencode(fields, quote_via=chance.choice((quote_plus, lambda text, *_: text))).encode()
    if chance.random() < 0.3:
        place = chance.randrange(len(changed) + 1)
        fault = chance.choice((b"%", b"&", b"%ff", b"\xff", b"%D0", b"%zz", b"=", b"&%42ody=x", b"+", b"%0a"))
        changed = changed[:place] + fault + changed[place:]
    return changed


def build_source(kind: str) -> Source:
    if kind != "generic":
        return source_of(kind)
    settings = build_section(GenericConfig, {"type": kind, "company": "7"}, "")
    return NodeForm("here", settings, make_id=lambda: "made")


def list_plain(kind: str) -> list[bytes]:
    """Return the recorded bodies that hold a text; of each kind the first goes the short way."""
    if kind == "generic":
        return [json.dumps(request).encode() for request in GENERIC[:4]]
    texts = [case for case in cases(kind) if "text" in case.name or "sms" in case.name]
    return [case.body for case in sorted(texts, key=lambda case: not case.name.startswith("text."))]


def list_bodies(kind: str) -> list[bytes]:
    if kind == "generic":
        return [json.dumps(request).encode() for request in GENERIC]
    return [case.body for case in cases(kind)]


def read(source: Source, body: bytes) -> ParseResult | str:
    try:
        return source.parse(body)
    except (UnparsedError, BadRequestError) as problem:
        return problem.fact


@pytest.mark.parametrize("kind", SHORT)
def test_short_way_gives_what_the_long_way_gives(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source, chance = build_source(kind), random.Random(7)
    plain, bodies = list_plain(kind), list_bodies(kind)
    change = vary_form if kind == "twilio" else vary
    bodies += [change(body, chance) for body in bodies for _ in range(20)]
    bodies += [change(body, chance) for body in plain for _ in range(1_000)]
    short = [read(source, body) for body in bodies]
    monkeypatch.setattr(SHORT[kind], lambda *_, **__: None)
    long = [read(source, body) for body in bodies]
    differ = [
        (body, one_way, other)
        for body, one_way, other in zip(bodies, short, long, strict=True)
        if one_way != other
    ]
    assert differ == []


@pytest.mark.parametrize("kind", SHORT)
def test_recorded_text_goes_the_short_way(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = build_source(kind)
    results: list[object] = []
    owner, _, name = SHORT[kind].rpartition(".")
    real = getattr(__import__(owner, fromlist=[name]), name)

    def watch(*arguments: Any, **fields: Any) -> Any:
        results.append(real(*arguments, **fields))
        return results[-1]

    monkeypatch.setattr(SHORT[kind], watch)
    source.parse(list_plain(kind)[0])
    assert len(results) == 1
    assert results[0] is not None


FORM_BYTES = st.lists(
    st.sampled_from([b"a", b"Body", b"&", b"&&", b"=", b"==", b"+", b"%20", b"%", b"%2", b"%zz", b"%D0%B0", b"%D0",
                     b"%ff", b"\xd0\xb0", b"\xff", b";", b"%00", b"\n"]) | st.binary(max_size=3),
    max_size=30,
).map(b"".join)  # fmt: skip


@pytest.mark.parametrize("errors", ["replace", "surrogateescape"])
@given(body=FORM_BYTES)
def test_form_is_read_as_the_standard_library_reads_it(errors: str, body: bytes) -> None:
    wanted = parse_qsl(body.decode(errors=errors), keep_blank_values=True, errors=errors)
    assert read_fields(body, errors) == wanted


@given(body=FORM_BYTES)
def test_form_that_is_read_the_short_way_has_the_same_fields(body: bytes) -> None:
    form = read_form(body)
    assert form is None or list(form.items()) == parse_qsl(body.decode(), keep_blank_values=True)


def test_form_has_a_most_of_fields() -> None:
    assert len(read_form(b"&".join(b"%d=" % number for number in range(MAX_FIELDS))) or ()) == MAX_FIELDS
    assert read_form(b"&".join(b"%d=" % number for number in range(MAX_FIELDS + 1))) is None
    assert len(read_fields(b"&".join([b"a=1"] * MAX_FIELDS), "replace")) == MAX_FIELDS
    with pytest.raises(UnparsedError, match="more than 200 fields"):
        read_fields(b"&".join([b"a=1"] * (MAX_FIELDS + 1)), "replace")
