"""Webhooks of Twilio Conversations: whose a message is, what is in it, and what is no message."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from rfctl.model.message import Media
from rfctl.sources.contract import ParseResult, Request
from rfctl.sources.twilio.config import TwilioConfig
from rfctl.sources.twilio.source import Twilio, sign

URL = "https://bot.example.com"
SOURCE = Twilio(
    "desk", TwilioConfig.model_construct(type="twilio", secrets=["s"], company="42", public_url=URL)
)
FIELDS = {
    "EventType": "onMessageAdded", "AccountSid": "AC1", "ChatServiceSid": "IS1", "ConversationSid": "CH1",
    "MessageSid": "IM1", "Author": "whatsapp:+12025550143", "Source": "WHATSAPP", "Body": "Hello", "Index": "3",
    "DateCreated": "2026-01-02T03:04:05.678Z", "ParticipantSid": "MB1",
}  # fmt: skip


def read(**fields: Any) -> ParseResult:
    form = {name: value for name, value in {**FIELDS, **fields}.items() if value is not None}
    return SOURCE.parse(urlencode(form).encode())


def test_words_of_a_person_are_a_message_of_the_conversation() -> None:
    [item] = read().messages
    assert (item.phone, item.platform, item.text, item.id, item.type) == (
        "12025550143",
        "whatsapp",
        "Hello",
        "IM1",
        "text",
    )
    assert (item.chat, item.account, item.sent_ms) == ("CH1", "IS1", 1767323045678)
    assert (item.id_scope, item.company, item.channel) == (("twilio", "account", "AC1"), "42", "desk")
    assert json.loads(item.metadata)["raw"]["ParticipantSid"] == "MB1"


def test_sms_in_a_conversation_is_an_sms() -> None:
    [item] = read(Author="+12025550143", Source="SMS", Body="x" * 153, DateCreated="today").messages
    assert (item.phone, item.platform, item.cut, item.sent_ms) == ("12025550143", "sms", True, None)


@pytest.mark.parametrize(
    "fields",
    [
        {"Source": "API"},
        {"Source": "API", "Author": "bot"},
        {"Source": "SDK", "Author": "anna"},
        {"Author": "system"},
    ],
    ids=str,
)
def test_words_of_our_own_side_are_counted(fields: dict[str, str]) -> None:
    assert read(**fields) == ParseResult(skipped={"own": 1})


@pytest.mark.parametrize(
    "event", ["onMessageAdd", "onMessageUpdated", "onConversationAdded", "onDeliveryUpdated"]
)
def test_other_events_of_a_conversation_are_counted(event: str) -> None:
    assert read(EventType=event) == ParseResult(skipped={"event": 1})


def test_files_of_a_conversation_have_their_ids() -> None:
    files = [{"Sid": "ME1", "ContentType": "image/png", "Filename": "a.png", "Size": 12}, {"Sid": "ME2"}]
    [item] = read(Body=None, Media=json.dumps(files)).messages
    assert item.media == (Media(id="ME1", mime="image/png", name="a.png"), Media(id="ME2"))
    assert (item.type, item.text) == ("image", "")


@pytest.mark.parametrize("fields", [{"Media": "{"}, {"Media": '["x"]'}, {"MessageSid": ""}])
def test_conversation_that_cannot_be_read_is_kept(fields: dict[str, str]) -> None:
    result = read(**fields)
    assert (result.messages, len(result.unparsed)) == ([], 1)
    assert SOURCE.parse(result.unparsed[0].body) == result


def test_conversation_is_signed_like_any_form() -> None:
    body = urlencode(FIELDS).encode()
    headers = {
        "content-type": b"application/x-www-form-urlencoded",
        "x-twilio-signature": sign("s", f"{URL}/webhook/desk", FIELDS.items()).encode(),
    }
    assert SOURCE.verify(Request("POST", "/webhook/desk", "", headers, body), 0)
    [item] = SOURCE.parse(body).messages
    assert item.id == "IM1"
