from __future__ import annotations

import json
import re
import sys
import tomllib
import unicodedata

import pytest
import tomli_w
from hypothesis import assume, given
from hypothesis import strategies as st

from rfctl.text import (
    counted,
    duration,
    hide_secrets,
    mask_phone,
    mask_phones,
    mask_url,
    mask_urls,
    show_phone,
    visible,
    visible_in_json,
    visible_in_toml,
)
from tests.support.masks import MASKED, WHOLE


def test_control_characters_are_shown_and_not_obeyed() -> None:
    assert visible("\x1b[2J\x9b0m\u202eabc\r\n") == "\\x1b[2J\\x9b0m\\u202eabc\\r\\n"
    assert visible("[bold red]hi[/]") == "[bold red]hi[/]"


VISIBLE_MARKS = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
"""Format characters that are seen: signs that stand before a number."""
ACTIVE = [
    chr(number)
    for number in range(sys.maxunicode + 1)
    if unicodedata.category(chr(number)) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and number not in VISIBLE_MARKS
]


def test_every_character_that_acts_or_hides_is_written_out() -> None:
    assert len(ACTIVE) > 2_200
    assert [char for char in ACTIVE if visible(char) == char] == []
    shown = "".join(map(visible, ACTIVE))
    assert shown.isascii()
    assert shown.isprintable()


def test_what_people_write_stays_as_it_is() -> None:
    text = "Привет, 世界! ❤\ufe0f 👍🏽 שלום مرحبا é"
    assert visible(text) == text


def test_emoji_of_several_parts_shows_its_parts() -> None:
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    assert visible(family) == family.replace("\u200d", "")
    assert visible("\u2764\ufe0f\u200d\U0001f525") == "\u2764\ufe0f\U0001f525"
    assert visible("\u200d\U0001f525 a\u200d\U0001f525 \U0001f525\u200d") == (
        "\\u200d\U0001f525 a\\u200d\U0001f525 \U0001f525\\u200d"
    )


def test_joiner_stays_only_between_letters_that_are_spelled_with_it() -> None:
    for word in ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0915\u094d\u200d\u0937"):
        assert visible(word) == word
    assert visible("a\u200cb \u0645\u200c \u200c\u0645") == "a\\u200cb \u0645\\u200c \\u200c\u0645"
    assert visible("\u200c\u0645") == "\\u200c\u0645"
    assert visible("\u0645\u200c\u200c\u0645") == "\u0645\\u200c\\u200c\u0645"


@given(st.text(st.sampled_from([*ACTIVE[:100], *ACTIVE[-97:], '"', "\\", "a", "é"])))
def test_json_on_a_terminal_means_the_same_and_acts_on_nothing(text: str) -> None:
    plain = json.dumps({"text": text}, ensure_ascii=False, indent=2)
    shown = visible_in_json(plain)
    assert json.loads(shown) == json.loads(plain)
    assert not set(shown.replace("\n", "")) & set(ACTIVE)


@given(st.text(st.sampled_from(["\u202e", "\u200b", "\U000e0041", "\x9b", "\x7f", "a", "é"])))
def test_toml_on_a_terminal_means_the_same_and_acts_on_nothing(text: str) -> None:
    plain = tomli_w.dumps({"text": text, "more": [1]})
    shown = visible_in_toml(plain)
    assert tomllib.loads(shown) == tomllib.loads(plain)
    assert not set(shown.replace("\n", "")) & set(ACTIVE)


SECRETS = st.text(st.sampled_from("Sx9:/?#@;,%&=[] .é"), min_size=4, max_size=12).map(
    lambda text: f"Qzz{text}Zqq"
)
USERS = st.sampled_from(["", ":", "me:", "me@home:", "a/b:"])


@given(st.sampled_from(["redis", "rediss", "valkey", "amqp", "https", "unix"]), USERS, SECRETS)
def test_no_password_is_shown_whatever_is_in_it(scheme: str, user: str, secret: str) -> None:
    assume(user or ":" not in secret)  # what stands before a : is a user
    url = f"{scheme}://{user}{secret}@host:6379/0?db=1"
    shown = mask_url(url)
    assert "Qz" not in shown
    assert "Zq" not in shown
    assert shown.endswith("@host:6379/0?db=1")
    assert mask_url(shown) == shown
    words = hide_secrets(f"cannot cast {secret!r} of {url}: {secret.partition('/')[0]}", url)
    assert "Qz" not in words


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Redis at redis://:p@ss@h:1/0: refused", "Redis at redis://:•••@h:1/0: refused"),
        ("redis://h:TOPSECRET", "redis://h:•••"),
        ("write redis://user:password@host:port/db", "write redis://user:password@host:port/db"),
        ("redis://:57#Wc903z", "redis://:57#•••"),
        ("redis://TOPSECRET@h", "redis://•••@h"),
        ("POST https://h/hook?token=x, then", "POST https://h/hook?token=•••, then"),
        ("https://hooks.example.com/T0/B0/a1b2c3d4e5f6g7h8i9j0", "https://hooks.example.com/T0/B0/•••"),
        (f"git+https://h/a.git@{'c0' * 20}", f"git+https://h/a.git@{'c0' * 20}"),
        (
            f"'rfctl @ git+ssh://h:22/a@{'c0' * 20}#subdirectory=b/c'",
            f"'rfctl @ git+ssh://h:22/a@{'c0' * 20}#subdirectory=b/c'",
        ),
        (f"git+https://TOPSECRET@h/a@{'c0' * 20}", f"git+https://•••@{'c0' * 20}"),
        (f"git+https://h:TOPSECRET/a@{'c0' * 20}", f"git+https://h:•••@{'c0' * 20}"),
        (f"https://h/a@{'c0' * 20}", f"https://•••@{'c0' * 20}"),
        ("listens on http://[::1]:3000", "listens on http://[::1]:3000"),
    ],
)
def test_urls_in_a_text_are_masked(text: str, shown: str) -> None:
    assert mask_urls(text) == shown


@given(
    st.from_regex(r"\+?[1-9][0-9]{6,14}", fullmatch=True),
    st.sampled_from(["", " ", "-", "(", " (", "."]),
    st.sampled_from(
        [("", ""), ("/messages/", ""), ("whatsapp:", ""), ("", "@c.us"), ("'", "'"), ("a ", " b")]
    ),
)
def test_no_phone_stays_whole_in_a_text(phone: str, gap: str, around: tuple[str, str]) -> None:
    spelled = phone[:4] + gap + phone[4:]
    shown = mask_phones(f"{around[0]}{spelled}{around[1]}")
    assert spelled not in shown
    digits = re.sub(r"\D", "", phone)
    assert len(re.sub(r"\D", "", shown)) <= len(digits) - 3


@given(st.integers(10**12, 2 * 10**12 - 1), st.integers(0, 999), st.sampled_from(["", "-3"]))
def test_id_of_a_message_stays_readable(ms: int, number: int, shard: str) -> None:
    line = f"message {ms}-{number}{shard} waits"
    assert mask_phones(line) == line


@pytest.mark.parametrize(
    "text",
    [
        "at 2026-11-28T10:20:30.123456Z on 2026-11-28",
        "Redis at 10.123.145.167:6379, run 3f2a9bb01234567c3f2a9bb01234567c3f2a9bb0",
        "the body is larger than 3145728 bytes, after 3600000 ms",
        "batch #0123456789abcdef0123456789abcdef, daemon 0123456789ab",
        "1c9ab1de-1234-4567-8901-123456789012",
        "version 7.0.15, status 404, port 65535, 200 of 4000",
    ],
)
def test_what_only_looks_like_a_phone_stays_readable(text: str) -> None:
    assert mask_phones(text) == text


@pytest.mark.parametrize(
    ("phone", "shown"),
    [
        ("79001234567", "79001•••67"),
        ("12345678", "12•••78"),
        ("1234567", "1•••"),
        ("12", "1•••"),
        ("", "•••"),
    ],
)
def test_a_phone_is_masked(phone: str, shown: str) -> None:
    assert mask_phone(phone) == shown


@pytest.mark.parametrize("phone", MASKED)
def test_a_phone_on_a_screen_shows_where_it_is_from(phone: str) -> None:
    shown = show_phone(phone)
    assert shown == MASKED[phone]
    assert len(phone) - len([char for char in shown if char not in " •"]) >= 2


@pytest.mark.parametrize("phone", WHOLE)
def test_a_whole_phone_on_a_screen_has_its_sign(phone: str) -> None:
    assert show_phone(phone, is_whole=True) == WHOLE[phone]


@pytest.mark.parametrize(
    ("ms", "shown"),
    [(340, "340 ms"), (4200, "4.2 s"), (185_000, "3 min 5 s"), (7_380_000, "2 h 3 min"), (-5, "-5 ms")],
)
def test_durations_are_read_by_people(ms: int, shown: str) -> None:
    assert duration(ms) == shown


def test_a_count_agrees_with_its_noun() -> None:
    assert [counted(n, "batch") for n in (0, 1, 2)] == ["0 batches", "1 batch", "2 batches"]
    assert [counted(n, "entry") for n in (0, 1, 2)] == ["0 entries", "1 entry", "2 entries"]
    assert counted(1, "message") + counted(3, "message") == "1 message3 messages"
