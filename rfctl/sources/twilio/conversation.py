"""A webhook of Twilio Conversations: `onMessageAdded`, a message that somebody has put into a conversation. Pure.

`Author` is who wrote: an address (`whatsapp:+1…`, `+1…`), or an identity, by which our own side takes part. `Source` is
how it came: SMS, WHATSAPP and the like from a person's phone, API from a program of ours, SDK from a screen. Whatever
came by the API is our own, and so is what an identity wrote. A form has no `To`: the conversation is the chat.
Fields: https://www.twilio.com/docs/conversations/conversations-webhooks
"""

from __future__ import annotations

import re
from datetime import datetime

import msgspec

from rfctl.model.message import Media, Message
from rfctl.sources.contract import Common, UnparsedError
from rfctl.sources.cut_texts import is_cut_sms
from rfctl.sources.parsing import build_id_scope, check_limits
from rfctl.sources.twilio.fields import read_address
from rfctl.sources.twilio.form import MessageForm, build_form_metadata, find_media_type

ADDED = "onMessageAdded"
_OURS = "API"
_ADDRESS = re.compile(r"[A-Za-z]{1,32}:.+|\+?\d[\d ().-]{3,}", re.DOTALL)


class _File(msgspec.Struct, rename={"id": "Sid", "mime": "ContentType", "name": "Filename"}):
    id: str | None = None
    mime: str | None = None
    name: str | None = None


_decode_files = msgspec.json.Decoder(list[_File]).decode


def is_conversation(form: MessageForm) -> bool:
    """Say whether a form is a webhook of Conversations."""
    return bool(form["EventType"] and form["ConversationSid"])


def find_skipped_kind(form: MessageForm) -> str:
    """Return the kind under which a form of Conversations counts that brings no message of a person, or ""."""
    if form["EventType"] != ADDED:
        return "event"
    is_person = form["Source"].upper() != _OURS and _ADDRESS.fullmatch(form["Author"].strip()) is not None
    return "" if is_person else "own"


def read_conversation(form: MessageForm, common: Common) -> Message:
    """Return the message that a person has put into a conversation. Raises UnparsedError."""
    platform, phone = read_address(form["Author"])
    media = _read_files(form["Media"])
    kind = find_media_type(media[0].mime) if media else "text"
    message = Message(
        phone=phone,
        text=form["Body"],
        id=form["MessageSid"],
        id_scope=build_id_scope("twilio", form["AccountSid"], common.id_scope),
        channel=common.channel,
        company=common.company,
        platform=platform,
        account=form["ChatServiceSid"],
        chat=form["ConversationSid"],
        sent_ms=_parse_time(form["DateCreated"]),
        type=kind,
        media=media,
        metadata=build_form_metadata(form),
        cut=platform == "sms" and kind == "text" and is_cut_sms(form["Body"]),
    )
    return check_limits(message, common.max_text_bytes)


def _read_files(text: str) -> tuple[Media, ...]:
    """Return the files that a form names in JSON. They have no address: Twilio hands them out by their ids."""
    if not text:
        return ()
    try:
        files = _decode_files(text)
    except (msgspec.DecodeError, RecursionError) as problem:
        raise UnparsedError(f"the Media of a conversation: {problem}") from None
    return tuple(Media(id=file.id or "", mime=file.mime or "", name=file.name or "") for file in files)


def _parse_time(text: str) -> int | None:
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
