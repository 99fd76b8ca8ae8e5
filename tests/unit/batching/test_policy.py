"""Which timers and which action a message gets, by rules."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from rfctl.batching.hours import build_hours
from rfctl.batching.policy import (
    MATCHED_CHARS,
    Decision,
    Policy,
    Rule,
    Timers,
    compile_pattern,
    normalize_prefix,
    normalize_text,
)
from rfctl.model.message import Media, Message, with_placeholder

TIMERS = Timers(5000, 10, 60_000)
STOP = Rule(
    "r",
    words=frozenset({"stop", "👍"}),
    prefixes=("st",),
    patterns=(compile_pattern(".+"),),
    action="discard_batch",
)


def message(text: str = "hello", *, channel: str = "salon", **fields: Any) -> Message:
    return Message(phone="7", text=text, id="1", channel=channel, **fields)


def decide(incoming: Message, *rules: Rule) -> Decision:
    return Policy(TIMERS, rules).decide(incoming, 0)


def test_general_timers_hold_without_rules() -> None:
    assert decide(message()) == Decision(5000, 10, 60_000, "")


@pytest.mark.parametrize("text", ["stop", "STOP", " Stop! ", "stop…", "ｓｔｏｐ"])
def test_word_matches_the_whole_message_in_any_case(text: str) -> None:
    assert (
        decide(message(text), Rule("r", words=frozenset({"stop"}), action="discard_batch")).action
        == "discard_batch"
    )


@pytest.mark.parametrize("text", ["non-stop", "stop it", "don't stop", "s top", "sto", "", "."])
def test_word_never_matches_a_part_of_a_message(text: str) -> None:
    assert decide(message(text), Rule("r", words=frozenset({"stop"}), action="discard_batch")).action == ""


def test_prefix_and_pattern_match() -> None:
    command = Rule("r", prefixes=("/",), action="send_alone")
    assert decide(message("/start now"), command).action == "send_alone"
    assert decide(message("not /start"), command).action == ""
    code = Rule("r", patterns=(compile_pattern(r"\d{4}"),), action="send_batch")
    assert decide(message("1234"), code).action == "send_batch"
    assert decide(message("1234 5"), code).action == ""
    assert decide(message("x1234"), code).action == ""


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        (r"стоп|хватит", " хватит\n", True),
        (r"стоп|хватит", "ну хватит", False),
        (r"(?i)стоп", "СТОП", True),
        (r"стоп", "СТОП", False),
        (r"[а-яё]+", "ёлка", True),
        (r"\pL+", "стоп", True),
        (r"[\pL\pN_]+", "Ответ_42", True),
        (r"\p{Cyrillic}+", "stop", False),
        (r"🛑+", "🛑🛑", True),
        (r".", "🛑", True),
        (r"(стоп )+🛑", "стоп стоп 🛑", True),
        (r"[ab]", "a\ud800", False),
    ],
)
def test_pattern_matches_characters_of_every_script(pattern: str, text: str, matches: bool) -> None:
    rule = Rule("r", patterns=(compile_pattern(pattern),), action="send_batch")
    assert decide(message(text), rule).action == ("send_batch" if matches else "")


EXPLODES = """
from rfctl.model.message import Message
from rfctl.batching.policy import MATCHED_CHARS, Policy, Rule, Timers, compile_pattern

words = ("thequickbrownfoxjumpsoverthelazydogs and more " * 99)[:MATCHED_CHARS]
for pattern in (r"(\\w+\\s?)+!", r"([a-z]|[a-z ])*!", r"(.*)*!", r"((a*)*b?)*!", r"(.{1,30}){1,30}!"):
    policy = Policy(Timers(1, 1, 1), (Rule("r", patterns=(compile_pattern(pattern),), action="send_batch"),))
    for text in (words, "a" * MATCHED_CHARS):
        print(policy.decide(Message(phone="7", text=text, id="1", channel="salon"), 0).action or "no")
"""


def test_no_pattern_holds_up_the_daemon_on_any_text() -> None:
    # In a process of its own: one that backtracks for ever could not be stopped in this one.
    process = subprocess.run([sys.executable, "-c", EXPLODES], capture_output=True, text=True, timeout=30)
    assert (process.stdout.split(), process.stderr) == (["no"] * 10, "")


@pytest.mark.parametrize("pattern", ["(", "(?=a)b", r"(a)\1", r"(?<!a)b", r"a\Z", "a{1,2000}"])
def test_invalid_pattern_raises_and_prints_nothing(pattern: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=r"^(invalid|missing)"):
        compile_pattern(pattern)
    assert capfd.readouterr() == ("", "")


def test_very_long_text_is_no_command() -> None:
    command = Rule("r", prefixes=("/",), patterns=(compile_pattern("x+"),), action="send_alone")
    assert decide(message("/" + "x" * MATCHED_CHARS), command).action == ""
    assert decide(message("x" * (MATCHED_CHARS + 1)), command).action == ""
    assert decide(message("x" * MATCHED_CHARS), command).action == "send_alone"


@pytest.mark.parametrize(
    ("prefix", "text", "matches"),
    [
        ("go ", "Go home", True),
        ("go ", "  go  home", True),
        ("go ", "gopher", False),
        ("go ", "go", False),
        ("go", "gopher", True),
        ("  go", "gopher", True),
        ("❤️", "❤ you", True),
        ("❤", "❤️ you", True),
    ],
)
def test_prefix_includes_the_space_at_its_end(prefix: str, text: str, matches: bool) -> None:
    assert decide(
        message(text), Rule("r", prefixes=(normalize_prefix(prefix),), action="send_batch")
    ).action == ("send_batch" if matches else "")


@pytest.mark.parametrize(("word", "text"), [("🛑", "🛑️"), ("🛑️", "🛑"), ("❤️", "❤︎!"), ("1️⃣", "1⃣")])
def test_emoji_is_the_same_word_with_every_variation_selector(word: str, text: str) -> None:
    assert (
        decide(message(text), Rule("r", words=frozenset({normalize_text(word)}), action="send_batch")).action
        == "send_batch"
    )


@pytest.mark.parametrize(
    "incoming",
    [
        message("👍", type="reaction", refers="1"),
        message("stop", type="deletion", refers="1"),
        message("stop", type="system"),
        with_placeholder(message("", type="deletion", refers="1"), "stop"),
        with_placeholder(message("", type="location"), "stop"),
        with_placeholder(message("", type="contacts"), "stop"),
        message("stop", type="image", media=(Media(id="1"),)),
    ],
    ids=lambda incoming: incoming.type,
)
def test_message_that_is_not_the_persons_words_is_no_command(incoming: Message) -> None:
    assert decide(incoming, STOP).action == ""


@pytest.mark.parametrize("kind", ["text", "button", "edit", "list_reply"])
def test_chosen_or_edited_words_are_a_command_too(kind: str) -> None:
    assert decide(message("stop", type=kind), STOP).action == "discard_batch"


def test_reaction_is_a_command_if_the_rule_names_its_type() -> None:
    rule = Rule("r", types=frozenset({"reaction"}), words=frozenset({"👍"}), action="send_batch")
    assert decide(message("👍", type="reaction"), rule).action == "send_batch"
    assert decide(message("👎", type="reaction"), rule).action == ""
    assert decide(message("👍"), rule).action == ""


def test_picture_with_a_command_as_caption_is_no_command() -> None:
    picture = message("stop", type="image", media=(Media(id="1"),))
    words = frozenset({"stop"})
    assert decide(picture, Rule("r", words=words, action="discard_batch")).action == ""
    assert (
        decide(picture, Rule("r", words=words, types=frozenset({"image"}), action="send_batch")).action
        == "send_batch"
    )


def test_rule_for_a_type_sends_at_once_or_waits_longer() -> None:
    voice = Rule("voice", types=frozenset({"voice"}), action="send_batch")
    image = Rule("image", types=frozenset({"image"}), quiet_ms=8000)
    assert decide(message("", type="voice"), voice, image).action == "send_batch"
    assert decide(message("", type="image"), voice, image) == Decision(8000, 10, 60_000, "")
    assert decide(message(), voice, image) == Decision(5000, 10, 60_000, "")


def test_first_matching_rule_that_sets_a_timer_wins() -> None:
    rules = (
        Rule("account", accounts=frozenset({"a"}), quiet_ms=1),
        Rule("company", companies=frozenset({"9"}), quiet_ms=2, max_size=3),
        Rule("source", sources=frozenset({"salon"}), quiet_ms=4, max_size=5, max_wait_ms=6),
    )
    assert decide(message(account="a", company="9"), *rules) == Decision(1, 3, 6, "")
    assert decide(message(company="9"), *rules) == Decision(2, 3, 6, "")
    assert decide(message(), *rules) == Decision(4, 5, 6, "")
    assert decide(message(channel="other"), *rules) == Decision(5000, 10, 60_000, "")


def test_longest_and_shortest_wait_include_every_rule() -> None:
    policy = Policy(TIMERS, (Rule("a", quiet_ms=100), Rule("b", max_wait_ms=90_000)))
    assert (policy.longest_ms, policy.shortest_ms) == (90_000, 100)
    hasty = Policy(TIMERS, (Rule("a", quiet_ms=100), Rule("b", max_wait_ms=90)))
    assert hasty.shortest_ms == 90, "a batch may be due by its longest wait first"


def drop(**conditions: Any) -> Rule:
    return Rule("r", action="drop", **conditions)


def test_drop_names_its_rule_and_an_earlier_action_wins() -> None:
    assert decide(message(chat="g"), drop(chats=frozenset({"group"}))) == Decision(
        5000, 10, 60_000, "drop", "r"
    )
    first = Rule("first", types=frozenset({"text"}), action="send_batch")
    assert decide(message(chat="g"), first, drop(chats=frozenset({"group"}))).action == "send_batch"


@pytest.mark.parametrize(("chats", "chat", "is_match"), [
    ("group", "g", True), ("group", "", False), ("private", "", True), ("private", "g", False),
])  # fmt: skip
def test_chats_match_a_group_or_a_person_alone(chats: str, chat: str, is_match: bool) -> None:
    assert drop(chats=frozenset({chats})).matches(message(chat=chat), 0) is is_match


def test_phones_match_whole_or_by_their_beginning() -> None:
    rule = drop(phones=frozenset({"7"}), phone_prefixes=("7999", "44"))
    sent = [Message(phone=phone, text="", id="1", channel="s") for phone in ("7", "79", "79991", "44", "4")]
    assert [rule.matches(item, 0) for item in sent] == [True, False, True, True, False]


def test_age_goes_by_the_time_of_sending_and_is_unknown_without_it() -> None:
    rule = drop(max_age_ms=1000)
    ages = [message(sent_ms=sent_ms) for sent_ms in (None, 8999, 9000, 20_000)]
    assert [rule.matches(item, 10_000) for item in ages] == [False, True, False, False]


def test_hours_are_asked_at_the_time_at_which_a_message_comes() -> None:
    hours = build_hours(["09:00-18:00"], "UTC")
    inside, outside = Rule("in", hours=hours, quiet_ms=1), Rule("out", outside_hours=hours, quiet_ms=2)
    noon, night = 12 * 3_600_000, 20 * 3_600_000
    assert Policy(TIMERS, (inside, outside)).decide(message(), noon).quiet_ms == 1
    assert Policy(TIMERS, (inside, outside)).decide(message(), night).quiet_ms == 2


def test_message_outside_of_the_hours_waits_until_they_open() -> None:
    hours, night = build_hours(["09:00-18:00"], "UTC"), 20 * 3_600_000
    closed = Rule("closed", outside_hours=hours, action="wait_until_open")
    own = Rule("source salon", sources=frozenset({"salon"}), quiet_ms=1, max_size=2, max_wait_ms=3)
    policy = Policy(TIMERS, (closed, own))
    decision = policy.decide(message(), night)
    assert (decision.quiet_ms, decision.max_size, decision.action) == (13 * 3_600_000, 1000, "")
    assert decision.max_wait_ms > 30 * 86_400_000
    assert policy.longest_ms >= 15 * 3_600_000
    stop = Policy(TIMERS, (STOP, closed)).decide(message("stop"), night)
    assert (stop.quiet_ms, stop.action) == (5000, "discard_batch")
    small = Rule("closed", outside_hours=hours, action="wait_until_open", max_size=5)
    assert Policy(TIMERS, (small,)).decide(message(), night).max_size == 5
