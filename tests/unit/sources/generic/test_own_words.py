"""Own words of a mapped source: by hand or by the bot, and to whom. What nobody can tell holds nobody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rfctl.config.environment import Environment
from rfctl.config.loader import load
from rfctl.config.toml_text import render_toml_section
from rfctl.errors import SettingsError
from rfctl.model.message import OWN_TYPE, Message
from rfctl.section import build_section
from rfctl.sources.contract import ParseResult
from rfctl.sources.generic.config import GenericConfig
from rfctl.sources.generic.map_check import check_mapping
from rfctl.sources.generic.mapped import Mapped
from rfctl.sources.registry import SPECS
from tests.support.presets import list_gateways

MAP = {
    "phone": "from", "text": "text", "id": "id", "type": "type", "chat": "chat", "account": "line",
    "own_if": "mine", "event_if": {"kind": "typing"}, "own_phone": ["to", "chat"], "by_hand_if": {"by": "hand"},
}  # fmt: skip
OURS = {
    "mine": True,
    "by": "hand",
    "from": "7000",
    "to": "+7 900 1",
    "text": "I am on it",
    "id": "1",
    "line": "shop",
}
COUNTED = ParseResult(skipped={"own": 1})


def read(body: dict[str, Any], own: str = "hold", mapping: dict[str, Any] = MAP) -> ParseResult:
    config = build_section(GenericConfig, {"type": "generic", "own": own, "map": mapping}, "sources.s")
    return Mapped("s", config, 1000).parse(json.dumps(body).encode())


def test_words_by_hand_have_the_phone_of_the_person() -> None:
    result = read(OURS)
    [ours] = result.messages
    [theirs] = read({**OURS, "mine": False, "from": "79001"}).messages
    assert (ours.type, ours.text, result.skipped) == (OWN_TYPE, "I am on it", {"own": 1})
    assert (
        (ours.phone, ours.account, ours.chat)
        == (theirs.phone, theirs.account, theirs.chat)
        == ("79001", "shop", "")
    )


def test_second_path_names_the_person_where_the_first_does_not() -> None:
    [ours] = read({**OURS, "to": "", "chat": "79002@c.us"}).messages
    assert (ours.phone, ours.chat) == ("79002", "")


@pytest.mark.parametrize(
    "fields",
    [
        {"by": "api"},
        {"by": None},
        {"to": "12036304@g.us"},
        {"type": "edit"},
        {"type": "deletion"},
        {"type": "reaction"},
        {"text": ""},
        {"kind": "typing"},
    ],
    ids=str,
)
def test_what_holds_nobody_is_only_counted(fields: dict[str, Any]) -> None:
    assert read({**OURS, **fields}) == COUNTED


def test_group_that_chat_if_names_is_nobody() -> None:
    mapping = {**MAP, "own_phone": "chat", "chat_if": {"kind": "group"}}
    body = {**OURS, "chat": "77"}
    assert read({**body, "kind": "group"}, mapping=mapping) == COUNTED
    assert [message.phone for message in read(body, mapping=mapping).messages] == ["77"]


def test_nothing_is_read_where_nobody_asks_for_it() -> None:
    assert read(OURS, own="ignore") == COUNTED


def test_words_by_hand_to_nobody_go_to_quarantine() -> None:
    result = read({**OURS, "to": None})
    assert ([part.why for part in result.unparsed], result.messages) == (
        ["nothing at own_phone says whom our own words are to"], [],
    )  # fmt: skip


@pytest.mark.parametrize("missing", ["own_phone", "by_hand_if"])
def test_both_keys_go_together(missing: str) -> None:
    mapping = {key: value for key, value in MAP.items() if key != missing}
    [problem] = check_mapping(mapping)
    assert problem.startswith("`own_phone` and `by_hand_if` go together")


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("own_phone", "a..b", "`own_phone`: `a..b`"),
        ("own_phone", {"text": "a"}, "`own_phone`:"),
        ("by_hand_if", {"a": []}, "`by_hand_if`: `a` can never match"),
    ],
)
def test_fault_in_a_key_is_named(key: str, value: object, problem: str) -> None:
    assert check_mapping({**MAP, key: value})[0].startswith(problem)


@pytest.mark.parametrize("setting", [{"own": "hold"}, {"own": "close"}, {"release_words": ["go on"]}])
@pytest.mark.parametrize("left_out", [("own_phone", "by_hand_if"), ("own_if",)], ids=str)
def test_setting_that_would_do_nothing_is_refused(setting: dict[str, Any], left_out: tuple[str, ...]) -> None:
    mapping = {key: value for key, value in MAP.items() if key not in {*left_out, "type"}}
    with pytest.raises(SettingsError) as raised:
        build_section(GenericConfig, {"type": "generic", "map": mapping, **setting}, "sources.s")
    [problem] = raised.value.problems
    assert problem.startswith(f"sources.s.{next(iter(setting))}: would do nothing")


def preset(name: str, folder: Path, **settings: Any) -> GenericConfig:
    file = folder / "c.toml"
    section = {"preset": name, "secrets": ["secret"], **settings}
    file.write_text(render_toml_section("sources.here", section) + "\n", encoding="utf-8")
    file.chmod(0o600)
    config = load(Environment({"HOME": str(folder)}), file=file).settings.sources["here"]
    assert isinstance(config, GenericConfig)
    return config


def list_words(name: str, folder: Path, **fields: Any) -> list[Message]:
    """Return what a preset with own = hold takes from its own bodies of the kind `own`, with fields changed."""
    source = SPECS["generic"].build_source("here", preset(name, folder, own="hold"), 65_536)
    [gateway] = [gateway for gateway in list_gateways() if gateway.preset == name]
    bodies = [entry["body"] for entry in gateway.bodies if entry["kind"] == "own"]
    for body in bodies:
        for path, value in fields.items():
            *steps, last = path.split("__")
            place = body
            for step in steps:
                place = place[int(step) if isinstance(place, list) else step]
            place[last] = value
    return [message for body in bodies for message in source.parse(json.dumps(body).encode()).messages]


BY_HAND: dict[str, tuple[dict[str, Any], str]] = {
    "chatwoot": ({}, "5544999990001"),
    "whapi": ({"messages__0__source": "mobile"}, "15550002001"),
    "zapi": ({"fromApi": False}, "5544999990001"),
    "messenger": ({"entry__0__messaging__0__message__app_id": 263902037430900}, "2001"),
}
BY_THE_BOT: dict[str, list[dict[str, Any]]] = {
    "chatwoot": [{"sender__type": "agent_bot"}, {"private": True}, {"message_type": "template"}, {"event": "message_updated"}],
    "whapi": [{}, {"messages__0__source": "web"}, {"messages__0__source": None}],
    "zapi": [{}, {"fromApi": True}, {"fromApi": False, "isGroup": True}],
    "messenger": [{}],
}  # fmt: skip


@pytest.mark.parametrize("name", BY_HAND)
def test_preset_takes_what_a_person_wrote_by_hand(name: str, tmp_path: Path) -> None:
    fields, phone = BY_HAND[name]
    [message] = list_words(name, tmp_path, **fields)
    assert (message.phone, message.type) == (phone, OWN_TYPE)
    assert bool(message.chat) == (name == "chatwoot")


@pytest.mark.parametrize(
    ("name", "fields"), [(name, fields) for name in BY_THE_BOT for fields in BY_THE_BOT[name]], ids=str
)
def test_preset_takes_nothing_that_the_bot_sent(name: str, fields: dict[str, Any], tmp_path: Path) -> None:
    assert list_words(name, tmp_path, **fields) == []


def test_preset_that_cannot_tell_refuses_the_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        preset("instagram", tmp_path, own="hold")
    assert "the preset instagram does not tell what a person of yours wrote" in str(raised.value.problems)
