"""The short way through common messages gives what the long way gives; pure."""

from __future__ import annotations

import copy
import json
import random
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfctl.sources.contract import ParseResult, Source, UnparsedError
from rfctl.sources.twilio.fields import MAX_FIELDS, read_fields
from tests.support.recorded import cases
from tests.unit.sources.test_recorded import source_of

SHORT = {
    "whatsapp-cloud": "rfctl.sources.whatsapp_cloud.source.read_plain",
    "telegram": "rfctl.sources.telegram.source.find_plain_post",
}
"""Kind → the function that finds a plain body. The long way is taken when it finds none."""
ODD: list[Any] = [
    None, True, 0, 1, 79001234567, 10**19, 1.5, "", " ", "text", "79001234567", "15550001111", "x" * 300, [], {}, [None],
    {"body": "hi"}, {"body": "\u200b"}, {"body": ""}, "\ud83d", {"id": None}, {"id": "wamid.0"},
    {"body": 1}, {"a": [1] * 3}, "messages", "history", "private", "group",
]  # fmt: skip
NAMES = (
    "from", "id", "type", "text", "timestamp", "context", "from_user_id", "group_id", "errors", "statuses", "messages",
    "wa_id", "user_id", "username", "is_bot", "entities", "sender_chat", "new_chat_title", "chat", "date", "x",
    "message_thread_id", "edited_message", "via_bot", "field", "value", "title",
)  # fmt: skip
FAULTS = (b"1e999", b"NaN", b"[" * 60 + b"]" * 60, b'"\xff"', b'"\\ud83d"', b'{"a":1,"a":2}', b"01")


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


def read(source: Source, body: bytes) -> ParseResult | str:
    try:
        return source.parse(body)
    except UnparsedError as problem:
        return problem.fact


@pytest.mark.parametrize("kind", SHORT)
def test_short_way_gives_what_the_long_way_gives(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source, chance = source_of(kind), random.Random(7)
    plain = [case.body for case in cases(kind) if "text" in case.name]
    bodies = [case.body for case in cases(kind)]
    bodies += [vary(body, chance) for body in bodies for _ in range(20)]
    bodies += [vary(body, chance) for body in plain for _ in range(1_000)]
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
    source = source_of(kind)
    results: list[object] = []
    owner, _, name = SHORT[kind].rpartition(".")
    real = getattr(__import__(owner, fromlist=[name]), name)

    def watch(*arguments: Any, **fields: Any) -> Any:
        results.append(real(*arguments, **fields))
        return results[-1]

    monkeypatch.setattr(SHORT[kind], watch)
    [body] = [case.body for case in cases(kind) if case.name == "text.json"]
    source.parse(body)
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


def test_form_has_a_most_of_fields() -> None:
    assert len(read_fields(b"&".join([b"a=1"] * MAX_FIELDS), "replace")) == MAX_FIELDS
    with pytest.raises(UnparsedError, match="more than 200 fields"):
        read_fields(b"&".join([b"a=1"] * (MAX_FIELDS + 1)), "replace")
