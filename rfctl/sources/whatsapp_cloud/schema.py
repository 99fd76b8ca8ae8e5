"""What a WhatsApp Cloud message says, by its type: each type has its own object under its own name. Pure.

A part that has another shape raises UnparsedError, for its message alone. A type that is not known here keeps its own
name, so that it is handed over and not dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from rfctl.model.message import Media
from rfctl.sources.contract import UnparsedError
from rfctl.sources.forms import Answers, format_form, read_form
from rfctl.sources.parsing import Contact, decode_part, first_nonempty, normalize_type

FIELDS = {
    **dict.fromkeys(
        (
            "account_alerts", "account_offers", "account_review_update", "account_settings_update", "account_update",
            "automatic_events", "business_capability_update", "business_status_update", "business_username_update", "calls",
            "campaign_status_update", "consumer_profile", "flows", "group_lifecycle_update", "group_participants_update",
            "group_settings_update", "group_status_update", "history", "message_template_components_update",
            "message_template_quality_update", "message_template_status_update", "messaging_handovers",
            "partner_solutions", "payment_configuration_update", "permission_grant", "phone_number_name_update",
            "phone_number_quality_update", "security", "smb_app_state_sync", "standby", "template_category_update",
            "template_correct_category_detection", "tracking_events", "user_id_update", "user_preferences",
        ),
        "event",
    ),
    "message_echoes": "own",
    "smb_message_echoes": "own",
}  # fmt: skip
"""The fields of Meta's webhook that bring no message of a person, and the kind under which each counts."""
BY_HAND = "smb_message_echoes"
"""The field that brings what the owner writes in the business app. What the API sends is in none."""
_EVENTS = frozenset({"system", "request_welcome"})
"""Types that no person wrote: a number or an id has changed, or a chat was opened for the first time."""


class Location(msgspec.Struct, frozen=True, omit_defaults=True):
    """A place in degrees, with its name and address where the sender chose one."""

    latitude: float | str
    longitude: float | str
    name: str | None = None
    address: str | None = None


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What a message says."""

    type: str
    text: str = ""
    media: tuple[Media, ...] = ()
    refers: str = ""
    location: Location | None = None
    contacts: list[Contact] = []
    button: str = ""
    answers: Answers = {}


class _Words(msgspec.Struct):
    body: str


class _File(msgspec.Struct):
    id: str | None = None
    url: str | None = None
    mime_type: str | None = None
    caption: str | None = None
    filename: str | None = None
    voice: bool | None = None


class _Name(msgspec.Struct):
    formatted_name: str | None = None


class _Number(msgspec.Struct):
    phone: str | None = None
    wa_id: str | None = None


class _Person(msgspec.Struct):
    name: _Name | None = None
    phones: list[_Number] | None = None


class _Reaction(msgspec.Struct):
    message_id: str
    emoji: str | None = None


class _Button(msgspec.Struct):
    text: str
    payload: str | None = None


class _Choice(msgspec.Struct):
    id: str | None = None
    title: str | None = None


class _Filled(msgspec.Struct):
    response_json: str | None = None


class _Interactive(msgspec.Struct):
    type: str
    button_reply: _Choice | None = None
    list_reply: _Choice | None = None
    nfm_reply: _Filled | None = None


class _Changed(msgspec.Struct):
    original_message_id: str
    message: msgspec.Raw = msgspec.Raw(b"{}")


class _Order(msgspec.Struct):
    text: str | None = None


class _Typed(msgspec.Struct):
    type: str | None = None


_decode_parts = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_type = msgspec.json.Decoder(_Typed).decode


def is_event(raw: bytes) -> bool:
    """Say whether a message is one that no person wrote. Raises UnparsedError."""
    return decode_part(raw, _decode_type).type in _EVENTS


def read_part(kind: str | None, raw: bytes) -> Content:
    """Parse what a message of this type says. Raises UnparsedError that names what is wrong."""
    if not kind:
        raise UnparsedError("`type` is missing")
    reader = _READERS.get(kind)
    if reader is None:
        return Content(type=normalize_type(kind))
    decode, read = reader
    part = decode_part(raw, _decode_parts).get(kind)
    if part is None:
        raise UnparsedError(f"`{kind}` is missing")
    return read(kind, decode_part(bytes(part), decode))


def _words(kind: str, part: _Words) -> Content:
    return Content(type=kind, text=part.body)


def _file(kind: str, part: _File) -> Content:
    medium = Media(
        id=part.id or "",
        url=part.url or "",
        mime=part.mime_type or "",
        caption=part.caption or "",
        name=part.filename or "",
    )
    return Content(type="voice" if part.voice else kind, text=medium.caption, media=(medium,))


def _location(kind: str, part: Location) -> Content:
    return Content(type=kind, location=part)


def _people(kind: str, part: list[_Person]) -> Content:
    cards = [
        Contact(
            (person.name and person.name.formatted_name) or "", first_nonempty(number.wa_id, number.phone)
        )
        for person in part
        for number in person.phones or [_Number()]
    ]
    return Content(type=kind, contacts=cards)


def _reaction(kind: str, part: _Reaction) -> Content:
    # One that was taken back has no emoji.
    return Content(type=kind, text=part.emoji or "", refers=part.message_id)


def _button(kind: str, part: _Button) -> Content:
    return Content(type=kind, text=part.text, button=part.payload or "")


def _interactive(_kind: str, part: _Interactive) -> Content:
    # Whatever comes later keeps its own name. The body of a filled-in form says "Sent", which nobody wrote.
    chosen = part.button_reply or part.list_reply
    if chosen is not None:
        return Content(type="button", text=chosen.title or "", button=chosen.id or "")
    if part.type != "nfm_reply":
        return Content(type=normalize_type(part.type))
    answers = read_form(part.nfm_reply.response_json or "" if part.nfm_reply else "")
    return Content(type="form", text=format_form(answers), answers=answers)


def _edit(kind: str, part: _Changed) -> Content:
    new_kind = decode_part(bytes(part.message), _decode_type).type
    if new_kind == kind:  # nested a thousand deep, it would be more than a stack holds
        raise UnparsedError("an edit of an edit")
    new = read_part(new_kind, bytes(part.message))
    return Content(type=kind, text=new.text, media=new.media, refers=part.original_message_id)


def _deletion(_kind: str, part: _Changed) -> Content:
    return Content(type="deletion", refers=part.original_message_id)


def _order(kind: str, part: _Order) -> Content:
    return Content(type=kind, text=part.text or "")


def _decoder(shape: Any) -> Callable[[bytes], Any]:
    return msgspec.json.Decoder(shape).decode


_READERS: dict[str, tuple[Callable[[bytes], Any], Callable[[str, Any], Content]]] = {
    "text": (_decoder(_Words), _words),
    "image": (_decoder(_File), _file),
    "audio": (_decoder(_File), _file),
    "video": (_decoder(_File), _file),
    "document": (_decoder(_File), _file),
    "sticker": (_decoder(_File), _file),
    "location": (_decoder(Location), _location),
    "contacts": (_decoder(list[_Person]), _people),
    "reaction": (_decoder(_Reaction), _reaction),
    "button": (_decoder(_Button), _button),
    "interactive": (_decoder(_Interactive), _interactive),
    "edit": (_decoder(_Changed), _edit),
    "revoke": (_decoder(_Changed), _deletion),
    "order": (_decoder(_Order), _order),
}
