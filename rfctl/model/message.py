"""What a person sent, and the functions that give it one form. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec

from rfctl.model.closed_sets import CHANGES
from rfctl.model.company import Company

MAX_PHONE_CHARS = 256
MAX_ID_CHARS = 256
MAX_COMPANY_CHARS = 64
OWN_TYPE = "own"
"""The type of what somebody on our side wrote. Its `phone` is whom it was sent to."""

_NUMBER = re.compile(r"\+?[\d\s.()][\d\s.()-]*")
_NOT_DIGITS = re.compile(r"\D")
_PLAIN_SUFFIXES = ("@c.us", "@s.whatsapp.net")


def normalize_phone(text: str) -> str:
    """Return one spelling for all spellings of one sender.

    `+7 900 123-45-67`, `79001234567@c.us` and `79001234567` are the same phone. A sender that is no number (a
    Telegram user, an `@lid`) stays as it is, without white space around it.
    """
    digits = text[1:] if text[:1] == "+" else text
    if digits.isdigit() and digits.isascii():  # most come so
        return digits
    phone = text.strip()
    for suffix in _PLAIN_SUFFIXES:
        phone = phone.removesuffix(suffix)
    if _NUMBER.fullmatch(phone) and phone.isascii():
        return _NOT_DIGITS.sub("", phone)
    return phone


class Media(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """One file of a message: the provider's `id` or a `url` to fetch it by, its MIME type, caption and file name.

    A field that the provider leaves out is "".
    """

    id: str = ""
    url: str = ""
    mime: str = ""
    caption: str = ""
    name: str = ""


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a person sent, once.

    `phone` is normalized; `id` is the provider's or made on arrival; `company` is the tenant as it came, or None;
    `channel` names the source; `platform` the network (whatsapp, telegram, sms); `account` which of our own
    numbers or bots was written to; `chat` the group or thread, "" in an ordinary one-to-one chat; `type` is
    text, image, voice, location …; `media` its files; `refers` the id of the message that this one answers,
    reacts to, edits or deletes; `sent_ms` is the sender's own clock (Unix ms) or None; `metadata` is a JSON
    object as it came; `simulated` marks traffic that no person sent. `album` names the pictures that were sent together,
    "" for none; `cut` says that the sender's client cut the text off at the provider's limit, and sent the rest behind
    it. `alias` is another id of the sender, or "". The
    provider may name the sender by it alone; then it is the phone too. `id_scope` is where the id is unique: the
    provider's account, or what stands for it; () when nobody knows. `older_id` is the id by which layout 1 remembered the
    message, where that was another one. These three are not stored with the message. `traceparent` is the trace that its
    request is a part of, or "".
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
    album: str = ""
    cut: bool = False
    alias: str = ""
    id_scope: tuple[str, ...] = ()
    older_id: str = ""
    traceparent: str = ""


class Renaming(msgspec.Struct, frozen=True, gc=False):
    """A sender has another second id from now on. `channel` names the source.

    `phone` is the sender's phone where the provider tells it, else ""; `former` is the second id of before, or "".
    """

    channel: str
    alias: str
    former: str = ""
    phone: str = ""


_SPEAKS_FOR_ITSELF = CHANGES | {"text", "reaction"}
"""Types without a placeholder. Without words they say nothing, or that some words are gone."""
_BLANK = re.compile("[\\s\u00ad\u115f\u1160\u180e\u200b-\u200f\u2060\u2800\u3164\ufeff]*")


def is_blank(text: str) -> bool:
    """Say whether a text has nothing to read: white space, and characters that no screen shows."""
    return _BLANK.fullmatch(text) is not None


def with_placeholder(message: Message, placeholder: str) -> Message:
    """Return the message, with the placeholder as text if it has none: `[image]`. `{type}` becomes its type."""
    if message.text or not placeholder or message.type in _SPEAKS_FOR_ITSELF:
        return message
    return msgspec.structs.replace(message, text=placeholder.replace("{type}", message.type))


@dataclass(frozen=True, slots=True)
class Unparsed:
    """An authentic request, or a part of it, that its source cannot read. `body` can be parsed again."""

    body: bytes
    why: str
