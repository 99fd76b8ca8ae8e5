"""What a person sent, and the tools that give it its one form. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec

MAX_PHONE_CHARS = 256
MAX_ID_CHARS = 256
MAX_COMPANY_CHARS = 64

_NUMBER = re.compile(r"\+?[\d\s.()][\d\s.()-]*")
_NOT_DIGITS = re.compile(r"\D")
_PLAIN_SUFFIXES = ("@c.us", "@s.whatsapp.net")


def normalize_phone(written: str) -> str:
    """Return one spelling for all spellings of one sender.

    `+7 900 123-45-67`, `79001234567@c.us` and `79001234567` are one. What is not a number (a Telegram user,
    an `@lid`) stays as it is, without white space around it.
    """
    phone = written.strip()
    for suffix in _PLAIN_SUFFIXES:
        phone = phone.removesuffix(suffix)
    if _NUMBER.fullmatch(phone) and phone.isascii():
        return _NOT_DIGITS.sub("", phone)
    return phone


class Media(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One file of a message: the provider's `id` or a `url` to fetch it by, its MIME type, caption and file name.

    What the provider does not say is "".
    """

    id: str = ""
    url: str = ""
    mime: str = ""
    caption: str = ""
    name: str = ""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What a person sent, once.

    `phone` is tidied; `id` is the provider's or made on arrival; `company` is the tenant as text, or None;
    `channel` names the source; `platform` the network (whatsapp, telegram, sms); `account` which of our own
    numbers or bots was written to; `chat` the group or thread, "" in an ordinary one-to-one chat; `type` is
    text, image, voice, location …; `media` its files; `refers` the id of the message that this one answers,
    reacts to, edits or deletes; `sent_ms` is the sender's own clock (Unix ms) or None; `metadata` is a JSON
    object as it came; `simulated` marks traffic that no person sent. `alias` is another id of the sender, by which
    the provider may name them alone (then it is the phone too), or ""; it is not stored with the message.
    """

    phone: str
    text: str
    id: str
    channel: str
    company: str | None = None
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
    """Return the message with a clear mark for what has no words: `[image]`."""
    if message.text or not placeholder:
        return message
    return msgspec.structs.replace(message, text=placeholder.replace("{type}", message.type))


@dataclass(frozen=True, slots=True)
class Unparsed:
    """A request, or a part of one, that is authentic and that its source cannot read. `body` can be read again."""

    body: bytes
    why: str
