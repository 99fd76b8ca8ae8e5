"""What an Evolution API event looks like inside: the WhatsApp message as Baileys decodes it, and its key.

The shapes are those of WhatsApp's own protocol (github.com/WhiskeySockets/Baileys, WAProto); Evolution hands
them on (github.com/evolution-foundation/evolution-api, whatsapp.baileys.service.ts). What is absent may also
be null. What is not named here is ignored, and kept in `raw`.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from rfctl.model.message import normalize_phone
from rfctl.sources.contract import UnparsedError
from rfctl.sources.parsing import Contact, decode_part, first_nonempty, join_lines, parse_unix_ms
from rfctl.sources.whatsapp_web import parse_vcard

Content = dict[str, msgspec.Raw]
TYPES = {
    "conversation": "text", "extendedTextMessage": "text", "imageMessage": "image", "videoMessage": "video",
    "ptvMessage": "video", "audioMessage": "audio", "documentMessage": "document", "stickerMessage": "sticker",
    "locationMessage": "location", "liveLocationMessage": "location", "contactMessage": "contacts",
    "contactsArrayMessage": "contacts", "reactionMessage": "reaction", "pollCreationMessage": "poll",
    "pollCreationMessageV2": "poll", "pollCreationMessageV3": "poll", "pollUpdateMessage": "poll",
    "buttonsResponseMessage": "button", "listResponseMessage": "button", "templateButtonReplyMessage": "button",
    "interactiveResponseMessage": "button", "orderMessage": "order", "protocolMessage": "protocol",
    "secretEncryptedMessage": "unsupported", "encReactionMessage": "unsupported",
}  # fmt: skip
"""What a message holds, and its type with us; the last two are an edit and a reaction that only WhatsApp can read."""
EVENTS = frozenset({
    "application.startup", "instance.create", "instance.delete", "status.instance", "remove.instance", "logout.instance",
    "qrcode.updated", "connection.update", "creds.update", "messaging.history.set", "messages.set", "messages.media.update",
    "messages.reaction", "message.receipt.update", "contacts.set", "contacts.upsert", "contacts.update", "presence.update",
    "chats.set", "chats.upsert", "chats.update", "chats.delete", "groups.upsert", "groups.update", "group.update",
    "group.participants.update", "groups.participants.update", "typebot.start", "typebot.change.status", "labels.edit",
    "labels.association", "call", "call.upsert", "errors", "error",
})  # fmt: skip
"""The events that bring no message of a person (Events in src/api/types/wa.types.ts of the repository), with dots."""
HEAVY = frozenset({"base64", "jpegThumbnail", "pngThumbnail", "thumbnail"})
"""Files and pictures inside a message: they are not kept."""
FILES = frozenset({"image", "video", "audio", "voice", "document", "sticker"})
_WRAPPERS = (
    "ephemeralMessage", "viewOnceMessage", "viewOnceMessageV2", "viewOnceMessageV2Extension",
    "documentWithCaptionMessage", "editedMessage", "associatedChildMessage", "groupMentionedMessage",
    "botInvokeMessage", "lottieStickerMessage",
)  # fmt: skip
_DEEPEST = 5
_DEVICE = re.compile(r":\d+(?=@)")
_HIDDEN = "@lid"


class Key(msgspec.Struct):
    """Which message, in which chat, of whom; `…Alt` and `…Pn` are the other spelling of the same person."""

    remoteJid: str | None = None  # noqa: N815 - the provider's names
    remoteJidAlt: str | None = None  # noqa: N815
    senderPn: str | None = None  # noqa: N815
    participant: str | None = None
    participantAlt: str | None = None  # noqa: N815
    participantPn: str | None = None  # noqa: N815
    fromMe: bool | None = None  # noqa: N815
    id: str | None = None

    @property
    def chat(self) -> str:
        """The group's JID, or "" in a one-to-one chat."""
        return self.remoteJid if self.remoteJid and self.remoteJid.endswith("@g.us") else ""

    @property
    def phone(self) -> str:
        """The sender, by number where one is known; an `@lid` stays as it is; "" when nobody is named."""
        number = next((spelling for spelling in self._spellings if not spelling.endswith(_HIDDEN)), "")
        return normalize_phone(number or first_nonempty(*self._spellings))

    @property
    def alias(self) -> str:
        """The sender's `@lid`, by which they may come alone, or ""."""
        return next((spelling for spelling in self._spellings if spelling.endswith(_HIDDEN)), "")

    @property
    def _spellings(self) -> list[str]:
        """Every id of the sender in the key, without the device."""
        direct = (self.remoteJid, self.remoteJidAlt, self.senderPn)
        spellings = (self.participant, self.participantAlt, self.participantPn) if self.chat else direct
        return [_DEVICE.sub("", spelling) for spelling in spellings if spelling]

    @property
    def is_feed(self) -> bool:
        """Whether it belongs to a status, a broadcast list or a channel, where nobody speaks to us."""
        return (self.remoteJid or "").endswith(("@broadcast", "@newsletter"))


class Quoted(msgspec.Struct):
    """A ContextInfo: `stanzaId` is the message that is answered."""

    stanzaId: str | None = None  # noqa: N815


class Named(msgspec.Struct):
    """A shared contact."""

    displayName: str | None = None  # noqa: N815
    vcard: str | None = None

    def read(self) -> Contact:
        """Return whom the card describes."""
        return parse_vcard(self.vcard or "", self.displayName or "")


class Row(msgspec.Struct):
    """The chosen row of a list."""

    selectedRowId: str | None = None  # noqa: N815


class Spoken(msgspec.Struct):
    """A text in an object of its own."""

    text: str | None = None


class Flow(msgspec.Struct):
    """The answer to a native flow: its parameters are JSON in a string."""

    paramsJson: str | None = None  # noqa: N815


class Vote(msgspec.Struct):
    """A vote: the names of what was chosen, when Evolution could decrypt them."""

    selectedOptions: msgspec.Raw = msgspec.Raw(b"")  # noqa: N815


class Body(msgspec.Struct):
    """What any content may hold; which fields there are depends on its type."""

    text: str | None = None
    caption: str | None = None
    mimetype: str | None = None
    fileName: str | None = None  # noqa: N815
    ptt: bool | None = None
    title: str | None = None
    name: str | None = None
    address: str | None = None
    message: str | None = None
    body: Spoken | None = None
    degreesLatitude: float | None = None  # noqa: N815
    degreesLongitude: float | None = None  # noqa: N815
    displayName: str | None = None  # noqa: N815
    vcard: str | None = None
    contacts: list[Named] | None = None
    selectedDisplayText: str | None = None  # noqa: N815
    selectedButtonId: str | None = None  # noqa: N815
    selectedId: str | None = None  # noqa: N815
    singleSelectReply: Row | None = None  # noqa: N815
    nativeFlowResponseMessage: Flow | None = None  # noqa: N815
    vote: Vote | None = None
    key: Key | None = None
    pollCreationMessageKey: Key | None = None  # noqa: N815
    targetMessageKey: Key | None = None  # noqa: N815
    contextInfo: Quoted | None = None  # noqa: N815

    @property
    def people(self) -> list[Named]:
        """The shared contacts, however many."""
        return self.contacts or [Named(displayName=self.displayName, vcard=self.vcard)]


class Long(msgspec.Struct):
    """A number of 64 bits in two halves of 32, as JavaScript's `Long` is written; a half may be negative."""

    low: float = 0
    high: float = 0


Time = float | str | Long | None
"""A time as Evolution may write it."""


class Protocol(msgspec.Struct):
    """A ProtocolMessage: an edit (14) or a deletion (0) of `key`, whose `fromMe` is as its author sees it."""

    key: Key | None = None
    type: int | str | None = None
    editedMessage: Content | None = None  # noqa: N815
    timestampMs: Time = None  # noqa: N815


class _Wrapper(msgspec.Struct):
    message: Content | None = None


_decode_wrapper = msgspec.json.Decoder(_Wrapper).decode
_decode_body = msgspec.json.Decoder(Body).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_options = msgspec.json.Decoder(list[str]).decode


def parse_time_ms(time: Time) -> int | None:
    """Return Unix ms of a time in seconds or ms; None when it is no time."""
    return parse_unix_ms(time.high * 2**32 + time.low % 2**32 if isinstance(time, Long) else time)


def unwrap(content: Content) -> Content:
    """Return the innermost content. Wrappers say that it disappears, is seen once, or is a document with a caption."""
    for _ in range(_DEEPEST):
        wrapper = next((name for name in _WRAPPERS if name in content), "")
        inner = decode_part(bytes(content[wrapper]), _decode_wrapper).message if wrapper else None
        if not inner:
            break
        content = inner
    return content


def find_content_name(content: Content) -> str:
    """Return the name of what the message holds, or "" when there is only what WhatsApp's clients tell each other."""
    type_name = next((name for name in TYPES if name in content), "")
    others = (name for name in content if "Message" in name and name != "senderKeyDistributionMessage")
    return type_name or next(others, "")


def read_body(name: str, raw: bytes) -> Body:
    """Parse one content. A type that we do not know may use these names otherwise: then its body is empty."""
    if name == "conversation":
        return Body(text=decode_part(raw, _decode_text))
    try:
        body: Body = decode_part(raw, _decode_body)
    except UnparsedError:
        if name in TYPES:
            raise
        return Body()
    return body


def find_text(kind: str, body: Body) -> str:
    """Return what the person wrote, pressed or chose."""
    if kind == "button":
        return first_nonempty(body.selectedDisplayText, body.title, body.body.text if body.body else "")
    if kind == "poll":
        return first_nonempty(body.name, _chosen(body.vote))
    return first_nonempty(body.text, body.caption, body.message if kind == "order" else "")


def find_button(body: Body) -> str:
    """Return what the button or row is called in the program that sent it."""
    row, flow = body.singleSelectReply, body.nativeFlowResponseMessage
    return first_nonempty(
        body.selectedButtonId,
        body.selectedId,
        row.selectedRowId if row else "",
        flow.paramsJson if flow else "",
    )


def find_facts(kind: str, body: Body) -> dict[str, Any]:
    """Return what a worker may want to know without reading `raw`."""
    if kind == "location":
        place = {"latitude": body.degreesLatitude, "longitude": body.degreesLongitude}
        return {"location": {**place, "name": body.name or "", "address": body.address or ""}}
    if kind == "contacts":
        return {"contacts": [person.read() for person in body.people]}
    return {"button": find_button(body)} if kind == "button" else {}


def _chosen(vote: Vote | None) -> str:
    """Return the chosen names; before they are decrypted there are only hashes, which say nothing."""
    try:
        return join_lines(decode_part(bytes(vote.selectedOptions), _decode_options)) if vote else ""
    except UnparsedError:
        return ""


def find_new_text(change: Protocol) -> str:
    """Return what an edit has made of a message, or ""."""
    content = unwrap(change.editedMessage or {})
    name = find_content_name(content)
    return find_text(TYPES.get(name, ""), read_body(name, bytes(content[name]))) if name else ""
