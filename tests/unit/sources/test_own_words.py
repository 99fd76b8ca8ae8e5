"""What somebody on our side writes by hand: each source says to whom, and leaves out what the bot itself sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rfctl.errors import SettingsError
from rfctl.model.message import OWN_TYPE, Message
from rfctl.section import build_section
from rfctl.sources.contract import ParseResult
from rfctl.sources.registry import SPECS
from tests.support.recorded import body as recorded


def parse(kind: str, body: bytes, own: str = "hold") -> ParseResult:
    spec = SPECS[kind]
    config = build_section(spec.config, {"type": kind, "own": own}, "sources.s")
    return spec.build_source("s", config, 65_536).parse(body)


def change(kind: str, file: str, **fields: Any) -> bytes:
    """A recorded body with other values at some paths."""
    body = json.loads(recorded(kind, file))
    for path, value in fields.items():
        *steps, last = path.split("__")
        place = body
        for step in steps:
            place = place[step]
        place[last] = value
    return json.dumps(body).encode()


def telegram(**more: Any) -> bytes:
    post = {
        "business_connection_id": "shop", "message_id": 9, "date": 1_790_000_000, "text": "I am on it",
        "chat": {"id": 1777, "type": "private"}, "from": {"id": 42, "is_bot": False, "first_name": "Owner"}, **more,
    }  # fmt: skip
    return json.dumps({"update_id": 1, "business_message": post}).encode()


def green(kind: str, chat: str = "79005550101@c.us") -> bytes:
    return json.dumps({
        "typeWebhook": kind, "instanceData": {"idInstance": 7, "wid": "79005550000@c.us", "typeInstance": "whatsapp"},
        "timestamp": 1_790_000_000, "idMessage": "F7", "senderData": {"chatId": chat, "sender": "79005550000@c.us"},
        "messageData": {"typeMessage": "textMessage", "textMessageData": {"textMessage": "I am on it"}},
    }).encode()  # fmt: skip


P15 = json.dumps({
    "object": "whatsapp_business_account",
    "entry": [{"id": "1", "changes": [{"field": "smb_message_echoes", "value": {
        "metadata": {"display_phone_number": "1555", "phone_number_id": "106"},
        "message_echoes": [{
            "from": "1555", "to": "1777", "id": "wamid.E1", "timestamp": "1750000000", "type": "text",
            "text": {"body": "I am on it (owner)"},
        }],
    }}]}],
}).encode()  # fmt: skip

WORDS = {
    "whatsapp-cloud": (P15, "1777", "106", "I am on it (owner)"),
    "evolution": (change("evolution", "own.json", data__source="ios"), None, None, None),
    "waha": (recorded("waha", "own.json"), "79005550101", "clinic", "Да, конечно"),
    "telegram": (telegram(), "1777", "shop", "I am on it"),
    "green-api": (green("outgoingMessageReceived"), "79005550101", "7", "I am on it"),
}


@pytest.mark.parametrize("kind", WORDS)
def test_words_of_ours_are_told_with_whom_they_were_sent_to(kind: str) -> None:
    body, phone, account, text = WORDS[kind]
    result = parse(kind, body)
    [message] = result.messages
    assert (message.type, result.skipped, result.unparsed) == (OWN_TYPE, {"own": 1}, [])
    assert message.chat == ""
    if phone is not None:
        assert (message.phone, message.account, message.text) == (phone, account, text)


@pytest.mark.parametrize("kind", WORDS)
def test_words_of_ours_are_only_counted_where_nobody_asks_for_them(kind: str) -> None:
    result = parse(kind, WORDS[kind][0], own="ignore")
    assert (result.messages, result.skipped) == ([], {"own": 1})


def phone_of(kind: str, body: bytes) -> Message:
    [message] = parse(kind, body).messages
    return message


def test_words_of_ours_have_the_phone_and_account_of_the_persons_own_messages() -> None:
    """So both are in the same batch."""
    theirs = phone_of("evolution", change("evolution", "own.json", data__key__fromMe=False))
    ours = phone_of("evolution", WORDS["evolution"][0])
    assert (ours.phone, ours.account, ours.alias) == (theirs.phone, theirs.account, theirs.alias)
    theirs = phone_of("telegram", telegram(**{"from": {"id": 1777, "is_bot": False, "first_name": "A"}}))
    ours = phone_of("telegram", telegram())
    assert (ours.phone, ours.account, ours.chat) == (theirs.phone, theirs.account, theirs.chat)


BY_THE_BOT = {
    "evolution web": ("evolution", change("evolution", "own.json", data__source="web")),
    "evolution unknown": ("evolution", change("evolution", "own.json", data__source="unknown")),
    "evolution sent": ("evolution", recorded("evolution", "sent.json")),
    "evolution group": (
        "evolution",
        change("evolution", "own.json", data__source="ios", data__key__remoteJid="1@g.us"),
    ),
    "waha api": ("waha", change("waha", "own.json", payload__source="api")),
    "waha without a source": ("waha", change("waha", "own.json", payload__source=None)),
    "waha group": ("waha", change("waha", "own.json", payload__id="true_1@g.us_3EB0AA_7@c.us")),
    "telegram bot of the account": (
        "telegram",
        telegram(sender_business_bot={"id": 5, "is_bot": True, "first_name": "B"}),
    ),
    "telegram bot": ("telegram", telegram(**{"from": {"id": 5, "is_bot": True, "first_name": "B"}})),
    "green api": ("green-api", green("outgoingAPIMessageReceived")),
    "green group": ("green-api", green("outgoingMessageReceived", "1-2@g.us")),
    "whatsapp api": ("whatsapp-cloud", P15.replace(b"smb_message_echoes", b"message_echoes")),
}


@pytest.mark.parametrize("name", BY_THE_BOT)
def test_what_the_bot_sent_or_nobody_can_tell_is_only_counted(name: str) -> None:
    result = parse(*BY_THE_BOT[name])
    assert (result.messages, result.skipped, result.unparsed) == ([], {"own": 1}, [])


def test_echo_that_cannot_be_read_goes_to_quarantine() -> None:
    result = parse("whatsapp-cloud", P15.replace(b'"to": "1777", ', b""))
    assert [part.why for part in result.unparsed] == ["no sender"]


@pytest.mark.parametrize("kind", WORDS)
def test_release_words_alone_have_words_of_ours_read(kind: str) -> None:
    spec = SPECS[kind]
    config = build_section(spec.config, {"type": kind, "release_words": ["go on"]}, "sources.s")
    [message] = spec.build_source("s", config, 65_536).parse(WORDS[kind][0]).messages
    assert message.type == OWN_TYPE


def test_source_without_words_of_ours_refuses_the_setting() -> None:
    with pytest.raises(SettingsError):
        build_section(SPECS["twilio"].config, {"type": "twilio", "own": "hold"}, "sources.s")
