"""A GREEN-API notification's fields, and what a message is by them. Pure.

Each kind of message has an object of its own beside `typeMessage`; all of them are optional here, and the
first that is not empty counts.
"""

from __future__ import annotations

from typing import Any

import msgspec

from rfctl.model.message import Media
from rfctl.sources.inline_files import is_note
from rfctl.sources.parsing import Contact, first_nonempty, join_lines
from rfctl.sources.whatsapp_web import find_type, find_type_by_mime, parse_vcard

_TYPES = {
    "textMessage": "text",
    "extendedTextMessage": "text",
    "quotedMessage": "text",
    "imageMessage": "image",
    "videoMessage": "video",
    "documentMessage": "document",
    "audioMessage": "audio",
    "stickerMessage": "sticker",
    "locationMessage": "location",
    "liveLocationMessage": "location",
    "contactMessage": "contacts",
    "contactsArrayMessage": "contacts",
    "reactionMessage": "reaction",
    "editedMessage": "edit",
    "deletedMessage": "deletion",
    "pollMessage": "poll",
    "pollUpdateMessage": "poll",
    "buttonsResponseMessage": "button",
    "buttonsResponse": "button",
    "interactiveButtonsResponse": "button",
    "templateButtonsReplyMessage": "button",
    "templateButtonReplyMessage": "button",
    "listResponseMessage": "button",
    "listResponse": "button",
}


class _Instance(msgspec.Struct):
    idInstance: int | str | None = None  # noqa: N815 - the provider's names, here and below
    typeInstance: str | None = None  # noqa: N815


class _Sender(msgspec.Struct):
    chatId: str | None = None  # noqa: N815
    chatType: str | None = None  # noqa: N815
    sender: str | None = None
    senderName: str | None = None  # noqa: N815
    senderContactName: str | None = None  # noqa: N815


class _Text(msgspec.Struct):
    textMessage: str | None = None  # noqa: N815
    text: str | None = None


class _About(msgspec.Struct):
    stanzaId: str | None = None  # noqa: N815


class _Edited(_About):
    textMessage: str | None = None  # noqa: N815


class _File(msgspec.Struct):
    downloadUrl: str | None = None  # noqa: N815
    caption: str | None = None
    fileName: str | None = None  # noqa: N815
    mimeType: str | None = None  # noqa: N815


class _Place(msgspec.Struct):
    latitude: float | str | None = None
    longitude: float | str | None = None
    nameLocation: str | None = None  # noqa: N815
    address: str | None = None


class _Card(msgspec.Struct):
    displayName: str | None = None  # noqa: N815
    vcard: str | None = None


class _Row(msgspec.Struct):
    selectedRowId: str | None = None  # noqa: N815


class _Choice(_About):
    selectedButtonId: str | None = None  # noqa: N815
    selectedButtonText: str | None = None  # noqa: N815
    selectedId: str | None = None  # noqa: N815
    selectedDisplayText: str | None = None  # noqa: N815
    title: str | None = None
    singleSelectReply: str | _Row | None = None  # noqa: N815


class _Vote(msgspec.Struct):
    optionName: str | None = None  # noqa: N815
    optionVoters: list[str] | None = None  # noqa: N815


class _Poll(_About):
    name: str | None = None
    votes: list[_Vote] | None = None


class _Offer(msgspec.Struct):
    """A message that brings buttons or a list along."""

    contentText: str | None = None  # noqa: N815
    body: str | None = None


class MessageData(msgspec.Struct):
    """What was sent."""

    typeMessage: str  # noqa: N815
    textMessageData: _Text | None = None  # noqa: N815
    extendedTextMessageData: _Text | None = None  # noqa: N815
    editedMessageData: _Edited | None = None  # noqa: N815
    deletedMessageData: _About | None = None  # noqa: N815
    quotedMessage: _About | None = None  # noqa: N815
    fileMessageData: _File | None = None  # noqa: N815
    locationMessageData: _Place | None = None  # noqa: N815
    contactMessageData: _Card | None = None  # noqa: N815
    contacts: list[_Card] | None = None
    pollMessageData: _Poll | None = None  # noqa: N815
    buttonsResponseMessage: _Choice | None = None  # noqa: N815
    interactiveButtonsResponse: _Choice | None = None  # noqa: N815
    templateButtonReplyMessage: _Choice | None = None  # noqa: N815
    listResponseMessage: _Choice | None = None  # noqa: N815
    buttonsMessage: _Offer | None = None  # noqa: N815
    templateMessage: _Offer | None = None  # noqa: N815
    listMessage: _Offer | None = None  # noqa: N815
    interactiveButtons: _Offer | None = None  # noqa: N815
    interactiveButtonsReply: _Offer | None = None  # noqa: N815


class Body(msgspec.Struct):
    """A notification of an incoming message."""

    senderData: _Sender  # noqa: N815
    messageData: MessageData  # noqa: N815
    instanceData: _Instance = msgspec.field(default_factory=_Instance)  # noqa: N815
    timestamp: float | str | None = None
    idMessage: str | None = None  # noqa: N815

    @property
    def in_group(self) -> bool:
        """Whether it was written into a group: `…@g.us` in WhatsApp, an id with a minus elsewhere."""
        chat = self.senderData.chatId or ""
        return chat.endswith("@g.us") or chat.startswith("-")


def find_message_type(data: MessageData) -> str:
    """Return what the message is; a voice message is a file of sound that was recorded."""
    facts = _TYPES.get(data.typeMessage) or find_type(data.typeMessage)
    mime = data.fileMessageData.mimeType if data.fileMessageData else None
    return find_type_by_mime(mime) if facts == "audio" and mime else facts


def find_text(body: Body) -> str:
    """Return what the person wrote, chose or voted for."""
    data = body.messageData
    if data.pollMessageData:
        return first_nonempty(
            _votes(data.pollMessageData, body.senderData.sender or ""), data.pollMessageData.name
        )
    pressed, offer = _choice(data), _offer(data)
    typed = data.textMessageData or data.extendedTextMessageData or _Text()
    return first_nonempty(
        *(typed.textMessage, typed.text),
        data.editedMessageData.textMessage if data.editedMessageData else "",
        data.fileMessageData.caption if data.fileMessageData else "",
        *(pressed.selectedButtonText, pressed.selectedDisplayText, pressed.title),
        *(offer.contentText, offer.body),
    )


def _votes(poll: _Poll, sender: str) -> str:
    return join_lines(
        vote.optionName or "" for vote in poll.votes or [] if sender in (vote.optionVoters or [])
    )


def _choice(data: MessageData) -> _Choice:
    return (
        data.buttonsResponseMessage
        or data.interactiveButtonsResponse
        or data.templateButtonReplyMessage
        or data.listResponseMessage
        or _Choice()
    )


def _offer(data: MessageData) -> _Offer:
    return (
        data.buttonsMessage
        or data.templateMessage
        or data.listMessage
        or data.interactiveButtons
        or data.interactiveButtonsReply
        or _Offer()
    )


def find_reference(data: MessageData) -> str:
    """Return the id of the message that it answers, reacts to, edits, deletes or votes in."""
    about: tuple[_About | None, ...] = (
        data.editedMessageData, data.deletedMessageData, data.quotedMessage, _choice(data), data.pollMessageData,
    )  # fmt: skip
    return first_nonempty(*(reference.stanzaId for reference in about if reference))


def build_media(data: MessageData) -> tuple[Media, ...]:
    """Return its file."""
    file = data.fileMessageData
    if file is None:
        return ()
    return (
        Media(
            url="" if is_note(file.downloadUrl or "") else file.downloadUrl or "",
            mime=file.mimeType or "",
            caption=file.caption or "",
            name=file.fileName or "",
        ),
    )


def build_location(data: MessageData) -> dict[str, Any]:
    """Return the place for the metadata; empty when there is none."""
    place = data.locationMessageData or _Place()
    facts = {
        "latitude": place.latitude,
        "longitude": place.longitude,
        "name": place.nameLocation,
        "address": place.address,
    }
    return {name: value for name, value in facts.items() if value not in (None, "")}


def list_contacts(data: MessageData) -> list[Contact]:
    """Return whom its cards describe."""
    cards = [data.contactMessageData] if data.contactMessageData else data.contacts or []
    return [parse_vcard(card.vcard or "", card.displayName or "") for card in cards]


def find_button(data: MessageData) -> str:
    """Return the id of the pressed button or chosen row."""
    pressed = _choice(data)
    row = pressed.singleSelectReply
    row = row.selectedRowId if isinstance(row, _Row) else row
    return first_nonempty(pressed.selectedButtonId, pressed.selectedId, row)
