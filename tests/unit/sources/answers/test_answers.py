"""Requests that want words: handshakes, challenges, confirmations; pure."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfctl.section import build_section
from rfctl.sources.answers import Answers
from rfctl.sources.answers.config import AnswerSettings
from rfctl.sources.auth.config import parse_auth
from rfctl.sources.auth.places import Place
from rfctl.sources.auth.proofs import build_proof
from rfctl.sources.contract import ParseResult, Reply, Request
from rfctl.sources.guarded import Guarded
from rfctl.sources.registry import SPECS
from tests.support.recorded import ANY_JSON
from tests.support.signed_requests import MAP

SUBSCRIBE = "hub.mode=subscribe&hub.verify_token={}&hub.challenge=1158201444"


def answers(**settings: Any) -> Answers:
    result = AnswerSettings(**settings).build_answers()
    assert result is not None
    return result


def reply(body: Any, **settings: Any) -> Reply | None:
    return answers(**settings).find_reply(json.dumps(body).encode())


def test_challenge_is_sent_back_as_text_or_under_its_name() -> None:
    body: dict[str, Any] = {
        "type": "url_verification",
        "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P",
    }
    assert reply(body, challenge="challenge") == Reply(body["challenge"].encode())
    as_json = Reply(
        json.dumps({"challenge": body["challenge"]}, separators=(",", ":")).encode(), "application/json"
    )
    assert reply(body, challenge="challenge", challenge_format="json") == as_json
    assert reply({"a": {"code": 17}}, challenge="a.code") == Reply(b"17")


@pytest.mark.parametrize("value", ["<script>", "two words", "", "a" * 513, None, ["x"], True, "é", "a\nb"])
def test_challenge_that_is_no_plain_word_is_never_sent_back(value: Any) -> None:
    assert reply({"challenge": value}, challenge="challenge") is None


def test_event_has_its_answer_and_no_other_has_one() -> None:
    table = {"answers": {"type=confirmation": "0a1b2c3d", "event.no=0": "zero"}}
    assert reply({"type": "confirmation", "group_id": 1}, **table) == Reply(b"0a1b2c3d")
    assert reply({"event": {"no": 0}}, **table) == Reply(b"zero")
    others: list[Any] = [{"type": "message_new"}, {"group_id": 1}, [], None, {"type": ["confirmation"]}]
    for body in others:
        assert reply(body, **table) is None


def test_nothing_is_answered_where_the_settings_say_nothing() -> None:
    assert AnswerSettings(answer="ok").build_answers() is None
    assert answers(verify_token="t").find_reply(b'{"challenge":"a"}') is None


@given(ANY_JSON, st.binary(max_size=20))
def test_strange_body_is_never_a_crash(body: Any, raw: bytes) -> None:
    both = answers(challenge="a.0.b", answers={"x=a=b": "y"})
    both.find_reply(json.dumps(body).encode())
    both.find_reply(raw)


def test_verify_token_opens_the_handshake_of_a_map() -> None:
    table = {"type": "generic", "map": MAP, "verify_token": "let me in"}
    config = build_section(SPECS["generic"].config, table, "sources.fb")
    source = SPECS["generic"].build_source("fb", config, 1000)
    assert config.handshake_hint("fb") == "is sources.fb.verify_token the one that the provider was told?"
    for token, wanted in (("let%20me%20in", "1158201444"), ("no", None), ("", None)):
        assert source.handshake(Request("GET", "/webhook/fb", SUBSCRIBE.format(token), {}, b"")) == wanted


class Reader(Guarded):
    """What is read is told to nobody."""

    def __init__(self, **options: Any) -> None:
        config = build_section(SPECS["generic"].config, {"type": "generic", "map": MAP}, "sources.s")
        super().__init__(SPECS["generic"].build_source("s", config, 1000), **options)


def test_handshake_in_a_body_is_counted_as_an_event_and_has_no_message() -> None:
    proof = build_proof(parse_auth({"type": "token", "body": "secret"}), ["hush"])
    source = Reader(
        proof=proof,
        answers=answers(answers={"type=confirmation": "abc"}),
        secret_place=Place.parse("body", "secret"),
    )
    body = b'{"type":"confirmation","secret":"hush"}'
    assert source.verify(Request("POST", "/webhook/s", "", {}, body), 0)
    assert not source.verify(Request("POST", "/webhook/s", "", {}, body.replace(b"hush", b"no")), 0)
    assert source.parse(body) == ParseResult(skipped={"event": 1}, reply=Reply(b"abc"))
