"""The `payload` of a WAHA event: its fields, and what a message is by them. Pure.

`_data` is the engine's own object, and each engine has another (WEBJS, NOWEB, GOWS). It is read only for
what `payload` does not say. If it has another shape than we know, the message is parsed without it. Fields as in
https://github.com/devlikeapro/waha/blob/core/src/structures/responses.dto.ts.
"""

from __future__ import annotations

import re

import msgspec

from rfctl.model.message import Media
from rfctl.sources import whatsapp_web
from rfctl.sources.forms import Answers, format_form, read_native_flow
from rfctl.sources.inline_files import is_note
from rfctl.sources.parsing import Contact, first_nonempty
from rfctl.sources.whatsapp_web import Association, find_type, find_type_by_mime, parse_vcard

EVENTS = frozenset({
    "session.status", "message.waiting", "state.change", "group.join", "group.leave", "group.v2.join",
    "group.v2.leave", "group.v2.update", "group.v2.participants", "presence.update", "poll.vote.failed", "chat.archive",
    "call.received", "call.accepted", "call.rejected", "label.upsert", "label.deleted", "label.chat.added",
    "label.chat.deleted", "event.response", "event.response.failed", "engine.event",
})  # fmt: skip
"""The events that bring no message (WAHAEvents in src/structures/enums.dto.ts of the repository)."""

_DEVICE = re.compile(r":\d+(?=@)")
_JPEG_IN_BASE64 = "/9j/"


class _File(msgspec.Struct):
    url: str | None = None
    mimetype: str | None = None
    filename: str | None = None


class Location(msgspec.Struct, omit_defaults=True):
    """A place, as WAHA writes it."""

    latitude: str | float | None = None
    longitude: str | float | None = None
    name: str | None = None
    address: str | None = None


class _About(msgspec.Struct):
    id: str | None = None
    participant: str | None = None


class _Reaction(msgspec.Struct):
    text: str | None = None
    messageId: str | None = None  # noqa: N815 - the provider's name


class _Choice(msgspec.Struct):
    selectedId: str | None = None  # noqa: N815
    selectedText: str | None = None  # noqa: N815


class Payload(msgspec.Struct, rename={"sender": "from", "data": "_data"}):
    """A message as WAHA shows it; `sender` is the chat that it came in."""

    id: str | None = None
    timestamp: float | str | None = None
    sender: str | None = None
    fromMe: bool | None = None  # noqa: N815
    participant: str | None = None
    author: str | None = None
    body: str | None = None
    hasMedia: bool | None = None  # noqa: N815
    media: _File | None = None
    location: Location | None = None
    vCards: list[str] | None = None  # noqa: N815
    replyTo: _About | None = None  # noqa: N815
    interactiveResponse: _Choice | None = None  # noqa: N815
    reaction: _Reaction | None = None
    selectedOptions: list[str] | None = None  # noqa: N815
    editedMessageId: str | None = None  # noqa: N815
    source: str | None = None
    to: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"{}")

    @property
    def receiver(self) -> str:
        """The chat that a message of ours went to: the id names it (`true_<chat>_<id>`), whatever the engine."""
        parts = (self.id or "").split("_")
        return parts[1] if len(parts) > 2 and parts[0] == "true" else ""

    @property
    def is_by_hand(self) -> bool:
        """Whether somebody on our side wrote it to one person, and not through WAHA's API."""
        is_to_person = bool(self.receiver) and not self.receiver.endswith(
            ("@g.us", "@broadcast", "@newsletter")
        )
        return bool(self.fromMe) and self.source == "app" and is_to_person

    @property
    def in_group(self) -> bool:
        """Whether it was written into a group."""
        return (self.sender or "").endswith("@g.us")


class Revoked(msgspec.Struct):
    """A deletion: the message before (not always known) and after it."""

    after: Payload | None = None
    before: Payload | None = None
    revokedMessageId: str | None = None  # noqa: N815


class Voted(msgspec.Struct):
    """A vote in a poll."""

    vote: Payload
    poll: _About | None = None


class _Key(msgspec.Struct):
    remoteJidAlt: str | None = None  # noqa: N815
    participantAlt: str | None = None  # noqa: N815


class _Info(msgspec.Struct):
    SenderAlt: str | None = None
    PushName: str | None = None


class Data(msgspec.Struct):
    """The fields that we read in the engine's own object."""

    type: str | None = None
    notifyName: str | None = None  # noqa: N815
    pushName: str | None = None  # noqa: N815
    key: _Key | None = None
    Info: _Info | None = None
    Message: dict[str, msgspec.Raw] | None = None
    message: dict[str, msgspec.Raw] | None = None
    latestEditSenderTimestampMs: float | str | None = None  # noqa: N815

    @property
    def answers(self) -> Answers | None:
        """What was filled in, where it is a form."""
        return read_native_flow(self.content)

    @property
    def content(self) -> dict[str, msgspec.Raw]:
        """The WhatsApp message by its kind, where the engine (NOWEB, GOWS) has it; else nothing."""
        return self.message or self.Message or {}

    @property
    def edited(self) -> float | str | None:
        """When it was edited, where the engine (WEBJS) shows the edited message with the time of its first sending."""
        within = (self.message or {}).get("latestEditSenderTimestampMs", msgspec.Raw(b"null"))
        return _decode_time(within) or self.latestEditSenderTimestampMs


_decode_time = msgspec.json.Decoder(float | str | None).decode
_decode_data = msgspec.json.Decoder(Data).decode
_decode_association = msgspec.json.Decoder(Association).decode


def decode_engine_data(payload: Payload) -> Data:
    """Return the engine's own object, an empty one where it is not as we know it."""
    try:
        return _decode_data(payload.data)
    except (msgspec.DecodeError, RecursionError):
        return Data()


def find_album(payload: Payload, data: Data) -> str:
    """Return the id of the album that a message is in, or "". An engine (WEBJS) has it beside the message."""
    if album := whatsapp_web.find_album(data.content):
        return album
    if b"parentMsgKey" not in bytes(payload.data):
        return ""
    try:
        return _decode_association(payload.data).album
    except (msgspec.DecodeError, RecursionError):  # another shape: it is no reason to refuse a picture
        return ""


def find_sender(payload: Payload, data: Data) -> str:
    """Return the sender's id: never the group, and the phone rather than the `@lid`."""
    spellings = _spellings(payload, data)
    return next(
        (spelling for spelling in spellings if not spelling.endswith("@lid")), first_nonempty(*spellings)
    )


def find_alias(payload: Payload, data: Data) -> str:
    """Return the sender's `@lid`, by which they may come alone, or ""."""
    return next((spelling for spelling in _spellings(payload, data) if spelling.endswith("@lid")), "")


def _spellings(payload: Payload, data: Data) -> list[str]:
    """Return every id of the sender that the event has, without the device."""
    sender = first_nonempty(payload.participant, payload.author) if payload.in_group else payload.sender or ""
    other = _other_address(payload, data)
    spellings = (sender, "" if other.endswith("@g.us") else other)
    return [_DEVICE.sub("", spelling) for spelling in spellings if spelling]


def _other_address(payload: Payload, data: Data) -> str:
    key = data.key or _Key()
    return first_nonempty(
        data.Info.SenderAlt if data.Info else "",
        key.participantAlt if payload.in_group else key.remoteJidAlt,
    )


def is_no_message(payload: Payload, data: Data) -> bool:
    """Say whether nobody has_content anything by this message: an album's frame, a pin, a notice of the client."""
    if data.type:
        return whatsapp_web.is_no_message(data.type)
    kinds = [name for name in data.content if name != "messageContextInfo"]
    has_content = payload.body or payload.hasMedia or payload.media
    return not has_content and bool(kinds) and all(map(whatsapp_web.is_no_message, kinds))


def find_message_type(payload: Payload, data: Data) -> str:
    """Return what an ordinary message is."""
    kind = find_type(data.type) if data.type else ""
    if data.answers is not None:
        return "form"
    if payload.interactiveResponse or "interactiveResponseMessage" in data.content:
        return "button"
    if payload.location:
        return "location"
    if payload.vCards:
        return "contacts"
    if payload.hasMedia or payload.media:
        mime = payload.media.mimetype if payload.media else None
        return first_nonempty(kind, find_type_by_mime(mime) if mime else "document")
    return first_nonempty(kind, "text" if payload.body else "unsupported")


def find_text(payload: Payload, data: Data) -> str:
    """Return what a person wrote: WEBJS also puts a map's picture or a vCard where the text stands."""
    body = payload.body or ""
    answers = data.answers
    if answers is not None:
        return format_form(answers)
    if payload.interactiveResponse:
        return first_nonempty(payload.interactiveResponse.selectedText, body)
    if payload.location and (is_note(body) or body.startswith(_JPEG_IN_BASE64)):
        return ""
    return "" if payload.vCards and body.startswith("BEGIN:VCARD") else body


def build_media(payload: Payload) -> tuple[Media, ...]:
    """Return its file. One that WAHA did not download has the message's id alone: WAHA hands it out by that."""
    if not (payload.hasMedia or payload.media):
        return ()
    file = payload.media or _File()
    return (
        Media(
            id=payload.id or "",
            url="" if is_note(file.url or "") else file.url or "",
            mime=file.mimetype or "",
            caption=payload.body or "",
            name=file.filename or "",
        ),
    )


def list_contacts(payload: Payload) -> list[Contact]:
    """Return whom its vCards describe."""
    return [parse_vcard(card) for card in payload.vCards or []]


def find_button(payload: Payload) -> str:
    """Return the id of the pressed button or chosen row."""
    return (payload.interactiveResponse.selectedId or "") if payload.interactiveResponse else ""
