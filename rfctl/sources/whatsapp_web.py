"""The words that gateways built on WhatsApp Web share: types of messages, MIME types, vCards. Pure.

They are WAHA, GREEN-API, Evolution, Venom and WPPConnect. A type that is not known here
keeps its own name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from rfctl.model.message import MAX_ID_CHARS, normalize_phone
from rfctl.sources.parsing import Contact, normalize_type

_TYPES = {
    "chat": "text",
    "ptt": "voice",
    "ptv": "video",
    "vcard": "contacts",
    "multi_vcard": "contacts",
    "contact": "contacts",
    "live_location": "location",
    "poll_creation": "poll",
    "product": "order",
    "buttons_response": "button",
    "list_response": "button",
    "template_button_reply": "button",
    "revoked": "deletion",
}
_NO_MESSAGES = frozenset({
    "album", "bcall", "broadcastnotification", "call", "calllog", "calllogmesssage", "ciphertext", "debug",
    "e2enotification", "enceventresponse", "event", "eventcreation", "eventinvite", "gift", "gp2",
    "groupnotification", "groupstatusmention", "keepinchat", "limitsharing", "messagehistorybundle",
    "messagehistorynotice", "notification", "notificationtemplate", "pininchat", "pinned", "placeholder",
    "pollresultsnapshot", "protocol", "requestphonenumber", "scheduledcallcreation", "scheduledcalledit",
    "scheduledeventcreation", "senderkeydistribution", "statusaddyours", "statusmention", "statusnotification",
    "stickersyncrmr",
})  # fmt: skip
"""What WhatsApp's clients tell each other or show between messages: nobody said anything.

An album's pictures come by themselves behind it, and so does what was a `ciphertext` at first.
"""
_ALBUM = frozenset({"1", "1.0", "media_album"})
"""How engines write the kind of association of an album's picture. There are others: a copy in HD, an event's cover."""
_NAME = re.compile(r"^FN[^:\r\n]*:(.*)$", re.MULTILINE | re.IGNORECASE)
_PHONE = re.compile(r"^(?:[\w-]+\.)?TEL([^:\r\n]*):(.*)$", re.MULTILINE | re.IGNORECASE)
_WAID = re.compile(r"waid=(\d+)", re.IGNORECASE)


def find_type(name: str) -> str:
    """Return our type for a type of WhatsApp Web; one that is not known keeps its name, normalized."""
    normalized = normalize_type(name)
    return _TYPES.get(normalized, normalized)


def is_no_message(name: str) -> bool:
    """Say whether WhatsApp's name of a kind (`albumMessage`, `pinned_message`, `gp2`) is that of no message."""
    plain = normalize_type(name).replace("_", "").replace("-", "")
    return plain in _NO_MESSAGES or plain.removesuffix("message") in _NO_MESSAGES


class MessageKey(msgspec.Struct):
    """The id of another message; each engine has its own spelling."""

    id: str | None = None
    ID: str | None = None
    whole: str | None = msgspec.field(default=None, name="_serialized")

    @property
    def own_id(self) -> str:
        """The message's own part of the id, or ""."""
        return self.id or self.ID or find_own_part(self.whole or "")


class Association(msgspec.Struct):
    """To which message another one belongs."""

    associationType: float | str | None = None  # noqa: N815 - the provider's names
    parentMessageKey: MessageKey | None = None  # noqa: N815
    parentMsgKey: MessageKey | None = None  # noqa: N815

    @property
    def album(self) -> str:
        """The id of the album's frame, which all of its pictures name; "" for what is in no album."""
        parent = self.parentMessageKey or self.parentMsgKey
        is_album = str(self.associationType).lower() in _ALBUM
        return parent.own_id[:MAX_ID_CHARS] if parent and is_album else ""


class _ContextInfo(msgspec.Struct):
    messageAssociation: Association | None = None  # noqa: N815


_decode_context = msgspec.json.Decoder(_ContextInfo).decode


def find_album(content: Mapping[str, msgspec.Raw]) -> str:
    """Return the id of the album that a WhatsApp message is in, or "". `content` holds the message by its kind."""
    raw = content.get("messageContextInfo")
    if raw is None:
        return ""
    try:
        association = _decode_context(raw).messageAssociation
    except (msgspec.DecodeError, RecursionError):  # another shape: it is no reason to refuse a picture
        return ""
    return association.album if association else ""


def find_own_part(whole_id: str) -> str:
    """Return the message's own part of an id `false_<chat>_<id>` or `false_<chat>_<id>_<sender>`; another id as it is.

    The rest spells the chat and the sender, each in one of several ways.
    """
    parts = whole_id.split("_")
    is_whole = len(parts) > 2 and parts[0] in ("true", "false") and bool(parts[2])
    return parts[2] if is_whole else whole_id


def find_type_by_mime(mime: str) -> str:
    """Return what a file is: in WhatsApp, what is recorded comes as Ogg, and a sticker is the only WebP."""
    if mime.startswith("audio/ogg"):
        return "voice"
    if mime == "image/webp":
        return "sticker"
    family = mime.partition("/")[0]
    return family if family in ("image", "audio", "video") else "document"


def parse_vcard(vcard: str, name: str = "") -> Contact:
    """Return whom a vCard describes: its first name and number (the WhatsApp number, where it has one)."""
    name_line, number = _NAME.search(vcard), _PHONE.search(vcard)
    waid = _WAID.search(number[1]) if number else None
    phone = waid[1] if waid else number[2] if number else ""
    return Contact(name or (name_line[1].strip() if name_line else ""), normalize_phone(phone))
