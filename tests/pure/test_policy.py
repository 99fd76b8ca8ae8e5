from __future__ import annotations

import re

import pytest

from rfctl.message import Media, Message
from rfctl.policy import Decision, Policy, Rule, Timers

TIMERS = Timers(5000, 10, 60_000)


def message(text: str = "hello", **more) -> Message:
    return Message(phone="7", text=text, id="1", channel=more.pop("channel", "salon"), **more)


def decide(one: Message, *rules: Rule) -> Decision:
    return Policy(TIMERS, rules).decide(one)


def test_without_rules_the_general_timers_hold():
    assert decide(message()) == Decision(5000, 10, 60_000, "")


@pytest.mark.parametrize("said", ["stop", "STOP", " Stop! ", "stop…", "ｓｔｏｐ"])
def test_a_word_matches_the_whole_message_in_any_case(said: str):
    assert decide(message(said), Rule("r", words=frozenset({"stop"}), then="discard")).then == "discard"


@pytest.mark.parametrize("said", ["non-stop", "stop it", "don't stop", "s top", "sto", "", "."])
def test_a_word_never_matches_a_part_of_a_message(said: str):
    assert decide(message(said), Rule("r", words=frozenset({"stop"}), then="discard")).then == ""


def test_a_prefix_and_a_pattern_match():
    command = Rule("r", prefixes=("/",), then="alone")
    assert decide(message("/start now"), command).then == "alone"
    assert decide(message("not /start"), command).then == ""
    code = Rule("r", patterns=(re.compile(r"\d{4}"),), then="all")
    assert decide(message("1234"), code).then == "all"
    assert decide(message("1234 5"), code).then == ""
    assert decide(message("x1234"), code).then == ""


def test_a_very_long_text_is_no_command():
    assert decide(message("/" + "x" * 2000), Rule("r", prefixes=("/",), then="alone")).then == ""


def test_a_picture_whose_caption_is_a_command_is_a_picture():
    picture = message("stop", type="image", media=(Media(id="1"),))
    words = frozenset({"stop"})
    assert decide(picture, Rule("r", words=words, then="discard")).then == ""
    assert decide(picture, Rule("r", words=words, types=frozenset({"image"}), then="all")).then == "all"


def test_a_type_hands_over_at_once_or_waits_longer():
    voice = Rule("voice", types=frozenset({"voice"}), then="all")
    image = Rule("image", types=frozenset({"image"}), quiet_ms=8000)
    assert decide(message("", type="voice"), voice, image).then == "all"
    assert decide(message("", type="image"), voice, image) == Decision(8000, 10, 60_000, "")
    assert decide(message(), voice, image) == Decision(5000, 10, 60_000, "")


def test_timers_go_by_source_company_and_account_and_the_first_rule_that_sets_one_wins():
    rules = (
        Rule("account", accounts=frozenset({"a"}), quiet_ms=1),
        Rule("company", companies=frozenset({"9"}), quiet_ms=2, max_size=3),
        Rule("source", sources=frozenset({"salon"}), quiet_ms=4, max_size=5, max_wait_ms=6),
    )
    assert decide(message(account="a", company="9"), *rules) == Decision(1, 3, 6, "")
    assert decide(message(company="9"), *rules) == Decision(2, 3, 6, "")
    assert decide(message(), *rules) == Decision(4, 5, 6, "")
    assert decide(message(channel="other"), *rules) == Decision(5000, 10, 60_000, "")


def test_the_longest_and_the_shortest_wait_are_over_all_rules():
    policy = Policy(TIMERS, (Rule("a", quiet_ms=100), Rule("b", max_wait_ms=90_000)))
    assert (policy.longest_ms, policy.shortest_ms) == (90_000, 100)
