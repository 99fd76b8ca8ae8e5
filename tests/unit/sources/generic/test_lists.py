"""Lists in bodies: a single object that stands without its list, and objects that no path of the map leads into."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rfctl.section import build_section
from rfctl.sources.contract import ParseResult, UnparsedError
from rfctl.sources.generic.config import GenericConfig
from rfctl.sources.generic.mapped import Mapped

SIMPLE = {"phone": "from", "text": "text", "id": "id"}
SINGLE = {"from": "1", "text": "x", "id": "a"}


def parse(mapping: dict[str, Any], body: Any) -> ParseResult:
    config = build_section(
        GenericConfig, {"type": "generic", "secrets": ["s"], "map": mapping}, "sources.shop"
    )
    return Mapped("shop", config, 1000).parse(json.dumps(body).encode())


def test_single_object_is_read_like_a_list_of_one() -> None:
    mapping = {**SIMPLE, "each": "*", "account": "/account"}
    single = {**SINGLE, "account": "P"}
    assert [message.account for message in parse(mapping, single).messages] == ["P"]
    two = parse(mapping, [single, {**single, "id": "b"}])
    assert [message.id for message in two.messages] == ["a", "b"]


def test_single_object_that_cannot_be_read_is_kept_as_a_list_of_one() -> None:
    [unparsed] = parse({**SIMPLE, "each": "*"}, {"text": "x"}).unparsed
    assert json.loads(unparsed.body) == [{"text": "x"}]


def test_single_envelope_is_read_like_a_list_of_one() -> None:
    mapping = {**SIMPLE, "each": "*.data.*", "account": "^line"}
    for body in ({"line": 7, "data": [SINGLE]}, [{"line": 7, "data": [SINGLE]}]):
        [message] = parse(mapping, body).messages
        assert (message.id, message.account) == ("a", "7")
    assert parse(mapping, {"line": 7}) == ParseResult(skipped={"unread": 1})


def test_number_where_messages_should_be_is_refused() -> None:
    with pytest.raises(UnparsedError, match="no list of messages"):
        parse({**SIMPLE, "each": "*"}, 5)


def test_object_that_only_a_path_by_index_would_read_is_counted() -> None:
    mapping = {**SIMPLE, "text": "parts.0.text", "media_url": "parts.*.url"}
    parts = [{"text": "first"}, {"url": "https://x/a"}, {"text": "second"}, "no object"]
    reading = parse(mapping, {**SINGLE, "parts": parts})
    assert (reading.messages[0].text, len(reading.messages[0].media)) == ("first", 1)
    assert reading.skipped == {"unread": 1}


def test_list_inside_of_a_file_has_other_forms_of_the_same_file() -> None:
    mapping = {**SIMPLE, "media_url": "files.*.sizes.0.url"}
    sizes = [{"url": "https://x/large"}, {"url": "https://x/small"}]
    reading = parse(mapping, {**SINGLE, "files": [{"sizes": sizes}, {"sizes": sizes}, {}]})
    assert ([file.url for file in reading.messages[0].media], reading.skipped) == (
        ["https://x/large"] * 2,
        {},
    )
