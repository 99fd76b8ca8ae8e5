"""Gateways of several networks: which one a message came by, whether its chat is a group, what a body without any is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rfctl.section import build_section
from rfctl.sources.contract import ParseResult, UnparsedError
from rfctl.sources.generic.config import GenericConfig
from rfctl.sources.generic.map_check import check_mapping
from rfctl.sources.generic.mapped import Mapped

SIMPLE = {"phone": "from", "text": "text", "id": "id"}
MESSAGE = {"from": "1", "text": "x", "id": "a"}
LIST = {**SIMPLE, "each": "messages"}


def parse(mapping: dict[str, Any], body: Any, **settings: Any) -> ParseResult:
    section = {"type": "generic", "secrets": ["s"], "map": mapping, **settings}
    source = Mapped("shop", build_section(GenericConfig, section, "sources.shop"), 1000)
    return source.parse(json.dumps(body).encode())


@pytest.mark.parametrize(
    ("fields", "platform"),
    [
        ({"net": "viber_service"}, "viber"),
        ({"net": "telegram"}, "telegram"),
        ({"net": "Live Chat!"}, "live_chat"),
        ({"net": "n" * 50}, "n" * 32),
        ({"net": ""}, "other"),
        ({}, "other"),
    ],
)
def test_body_names_the_network(fields: dict[str, Any], platform: str) -> None:
    mapping = {**SIMPLE, "platform": "net", "platforms": {"viber_service": "viber"}}
    [message] = parse(mapping, {**MESSAGE, **fields}, platform="other").messages
    assert message.platform == platform


def test_network_that_is_no_word_is_not_guessed() -> None:
    reading = parse({**SIMPLE, "platform": "net"}, {**MESSAGE, "net": ["viber"]})
    assert [part.why for part in reading.unparsed] == [
        "the platform is of type list, not a string or a number"
    ]


@pytest.mark.parametrize(("kind", "chat"), [("private", ""), ("group", "C1"), (None, "")])
def test_chat_of_a_private_conversation_is_none(kind: str | None, chat: str) -> None:
    mapping = {**SIMPLE, "chat": "room", "chat_if": {"kind": "group"}}
    [message] = parse(mapping, {**MESSAGE, "room": "C1", "kind": kind}).messages
    assert message.chat == chat


@pytest.mark.parametrize(
    ("mapping", "fault"),
    [
        ({"platforms": {"a": "b"}}, "`platforms`: is for the values at `platform`"),
        ({"platform": "net", "platforms": {"a": "My Net"}}, "`platforms`: `a`: a platform is a word"),
        ({"platform": "net", "platforms": {"a": 7}}, "`platforms`: `a`: a platform is a word"),
        ({"platform": "net", "platforms": "a"}, "`platforms`: write a table"),
        ({"platform": "$.net"}, "`platform`: `$.net` can never match"),
        ({"chat_if": {"kind": "group"}}, "`chat_if`: is for the value at `chat`"),
        ({"chat": "room", "chat_if": []}, "`chat_if`: can never hold"),
    ],
)
def test_network_that_can_never_be_found_is_refused(mapping: dict[str, Any], fault: str) -> None:
    assert [fault in problem for problem in check_mapping({**SIMPLE, **mapping})] == [True]


BODIES = [
    ({"event_if": "/test"}, {"test": True}, {"event": 1}),
    ({"event_if": "/test"}, {"test": False}, {"event:no_list": 1}),
    ({"status_if": {"/statuses": "*"}, "event_if": "/test"}, {"statuses": [{}], "test": 1}, {"status": 1}),
    ({"status_if": ["state", {"/kind": "ack"}]}, {"kind": "ack"}, {"status": 1}),
    ({"status_if": {"/kind": "ack", "state": ""}}, {"kind": "ack"}, {"event:no_list": 1}),
    ({"own_if": "own"}, {"own": True}, {"event:no_list": 1}),
    ({"event": "/kind", "messages": "chat", "error_if": "/failure"}, {"kind": "chat", "failure": 1}, {"error": 1}),
    ({"event": "/kind", "messages": "chat", "error_if": "/failure"}, {"kind": "x", "failure": 0}, {"event:x": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("mapping", "body", "skipped"), BODIES, ids=str)
def test_condition_from_the_top_names_a_body_without_messages(
    mapping: dict[str, Any], body: dict[str, Any], skipped: dict[str, int]
) -> None:
    assert parse({**LIST, **mapping}, body) == ParseResult(skipped=skipped)


def test_body_that_meets_no_condition_and_says_that_it_has_messages_is_kept() -> None:
    with pytest.raises(UnparsedError):
        parse({**LIST, "event": "/kind", "messages": "chat", "event_if": "/test"}, {"kind": "chat"})


def test_list_that_only_a_condition_looks_at_is_left_aside_and_counted() -> None:
    mapping = {**LIST, "status_if": {"/statuses": "*", "/messages": ""}}
    reading = parse(mapping, {"messages": [MESSAGE], "statuses": [{"s": 1}, {"s": 2}]})
    assert (len(reading.messages), reading.skipped) == (1, {"unread": 2})
    assert parse(mapping, {"messages": [], "statuses": [{"s": 1}]}).skipped == {"unread": 1}
