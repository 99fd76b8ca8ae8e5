"""The short way through a Telegram update that holds one text of a person. Pure.

Anything unusual makes `read_plain` return None: another field, a bot, a long value. The source then reads the update the
long way, so both ways give the same result.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from rfctl.model.message import Message
from rfctl.model.strict_json import find_json_fault
from rfctl.sources.contract import Common, UnparsedError
from rfctl.sources.cut_texts import is_cut_by_telegram
from rfctl.sources.parsing import build_id_scope, check_limits, decode_json, parse_unix_ms
from rfctl.sources.telegram.schema import Chat, User

# Bounded as in `schema`.
_Id = Annotated[int, msgspec.Meta(ge=-(1 << 62), le=1 << 62)]
_Nothing = msgspec.Raw(b"")


class _Update(msgspec.Struct, gc=False):
    """An update whose kind is `message`: it comes first, whatever else is there."""

    update_id: _Id
    message: msgspec.Raw


class _Post(msgspec.Struct, rename={"sender": "from"}, forbid_unknown_fields=True, gc=False):
    """A text and nothing unusual around it."""

    message_id: _Id
    chat: Chat
    sender: User
    text: Annotated[str, msgspec.Meta(min_length=1)]
    date: _Id = 0
    entities: msgspec.Raw = _Nothing
    link_preview_options: msgspec.Raw = _Nothing


class _Metadata(msgspec.Struct, omit_defaults=True, gc=False):
    senderName: str = ""  # noqa: N815 - the stored name
    username: str = ""
    chatTitle: str = ""  # noqa: N815
    raw: msgspec.Raw = _Nothing


_decode_update = msgspec.json.Decoder(_Update).decode
_decode_post = msgspec.json.Decoder(_Post).decode
_encode = msgspec.json.Encoder().encode


def read_plain(body: bytes, common: Common) -> Message | None:
    """Return the message of a plain update, None for one that must be read the long way."""
    try:
        raw = bytes(decode_json(body, _decode_update).message).strip()
        post: _Post = _decode_post(raw)
        if post.sender.is_bot or find_json_fault(raw):
            return None
        return check_limits(_build_message(post, raw, common), common.max_text_bytes)
    except (UnparsedError, msgspec.DecodeError, RecursionError):
        return None


def _build_message(post: _Post, raw: bytes, common: Common) -> Message:
    person, chat = post.sender, post.chat
    name = f"{person.first_name} {person.last_name}".strip()
    return Message(
        phone=str(person.id),
        text=post.text,
        id=f"{chat.id}:{post.message_id}",
        channel=common.channel,
        company=common.company,
        platform="telegram",
        chat="" if chat.type == "private" else str(chat.id),
        sent_ms=parse_unix_ms(post.date),
        metadata=_encode(_Metadata(name, person.username, chat.title, msgspec.Raw(raw))),
        id_scope=build_id_scope("telegram", "", common.id_scope),
        cut=is_cut_by_telegram(post.text),
    )
