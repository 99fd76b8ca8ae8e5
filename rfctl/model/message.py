"""What a person sent, and the functions that give it one form. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec

from rfctl.model.company import Company

MAX_PHONE_CHARS = 256
MAX_ID_CHARS = 256
MAX_COMPANY_CHARS = 64

_NUMBER = re.compile(r"\+?[\d\s.()][\d\s.()-]*")
_NOT_DIGITS = re.compile(r"\D")
_PLAIN_SUFFIXES = ("@c.us", "@s.whatsapp.net")


def normalize_phone(text: str) -> str:
    """Return one spelling for all spellings of one sender.

    `+7 900 123-45-67`, `79001234567@c.us` and `79001234567` are the same phone. A sender that is no number (a
    Telegram user, an `@lid`) stays as it is, without white space around it.
    """
    phone = text.strip()
    for suffix in _PLAIN_SUFFIXES:
        phone = phone.removesuffix(suffix)
    if _NUMBER.fullmatch(phone) and phone.isascii():
        return _NOT_DIGITS.sub("", phone)
    return phone


class Media(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One file of a message: the provider's `id` or a `url` to fetch it by, its MIME type, caption and file name.

    A field that the provider leaves out is "".
    """

    id: str = ""
    url: str = ""
    mime: str = ""
    caption: str = ""
    name: str = ""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What a person sent, once.

    `phone` is normalized; `id` is the provider's or made on arrival; `company` is the tenant as text, or None;
    `channel` names the source; `platform` the network (whatsapp, telegram, sms); `account` which of our own
    numbers or bots was written to; `chat` the group or thread, "" in an ordinary one-to-one chat; `type` is
    text, image, voice, location …; `media` its files; `refers` the id of the message that this one answers,
    reacts to, edits or deletes; `sent_ms` is the sender's own clock (Unix ms) or None; `metadata` is a JSON
    object as it came; `simulated` marks traffic that no person sent. `alias` is another id of the sender, or "". The
    provider may name the sender by it alone; then it is the phone too. It is not stored with the message.
    """

    phone: str
    text: str
    id: str
    channel: str
    company: Company = None
    platform: str = ""
    account: str = ""
    chat: str = ""
    sent_ms: int | None = None
    type: str = "text"
    media: tuple[Media, ...] = ()
    refers: str = ""
    metadata: bytes = b"{}"
    simulated: bool = False
    alias: str = ""


def with_placeholder(message: Message, placeholder: str) -> Message:
    """Return the message, with the placeholder as text if it has none: `[image]`. `{type}` becomes its type."""
    if message.text or not placeholder:
        return message
    return msgspec.structs.replace(message, text=placeholder.replace("{type}", message.type))


@dataclass(frozen=True, slots=True)
class Unparsed:
    """An authentic request, or a part of it, that its source cannot read. `body` can be parsed again."""

    body: bytes
    why: str
