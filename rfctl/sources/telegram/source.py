"""Telegram: the updates of the Bot API, one update a request. Pure.

The source trusts the header `X-Telegram-Bot-Api-Secret-Token` (the `secret_token` of setWebhook, 1-256 characters of
A-Z a-z 0-9 _ -, https://core.telegram.org/bots/api#setwebhook). The body is not signed: whoever has the
token may send anything. An update becomes messages, is counted, or comes back as unparsed.

The facts behind it (https://core.telegram.org/bots/api):
- `message_id` counts within a chat, and in a business account it is another count than the bot's own, so
  that an id is made of the connection, the chat and the message.
- The update does not name the bot; a business message names its connection, which is the `account`.
- In a private chat `chat.id` is the other person: in a business chat everybody else is the account's owner.
- `date` is when the message was first sent, also in an edit, which has an `edit_date`. A pressed button and a
  deletion have no time.
- A reply in an ordinary supergroup has a `message_thread_id` too; only `is_topic_message` makes it a topic,
  and there each message "replies" to the one that opened the topic.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from rfctl.model.company import decode_company
from rfctl.model.message import Message, Unparsed
from rfctl.sources.contract import Common, ParseResult, Request, Source, UnparsedError
from rfctl.sources.cut_texts import is_cut_by_telegram
from rfctl.sources.parsing import (
    build_id_scope,
    build_metadata,
    check_limits,
    decode_json,
    decode_part,
    first_nonempty,
    normalize_type,
    parse_unix_ms,
)
from rfctl.sources.signing import encode_secrets, matches_any
from rfctl.sources.telegram.config import TelegramConfig
from rfctl.sources.telegram.owner import is_by_hand
from rfctl.sources.telegram.plain import read_plain
from rfctl.sources.telegram.posts import describe_person, find_caption, find_facts, find_media, find_text
from rfctl.sources.telegram.schema import (
    ABOUT,
    EVENTS,
    SERVICE,
    TYPES,
    Chat,
    Deleted,
    Post,
    Pressed,
    Reaction,
    Update,
    decode_deleted,
    decode_names,
    decode_post,
    decode_pressed,
    decode_reaction,
    decode_update,
)

_HEADER = "x-telegram-bot-api-secret-token"


class Telegram(Source):
    """The source `telegram`. Its secrets are values of `secret_token`."""

    proof_headers = (_HEADER,)

    def __init__(self, name: str, config: TelegramConfig, max_text_bytes: int = 65_536) -> None:
        self._name = name
        self._config = config
        self._max_text_bytes = max_text_bytes
        self._tokens = encode_secrets(config.secrets)
        company = decode_company(config.company)
        self._common = Common(name, company, config.find_id_scope(name), max_text_bytes)

    def verify(self, request: Request, now_ms: int) -> bool:  # noqa: ARG002 - the token has no time in it
        """Say whether the token header is any of the secrets, in constant time."""
        return matches_any(request.header(_HEADER), self._tokens)

    def parse(self, body: bytes) -> ParseResult:
        """Read one update. Raises UnparsedError when it is none."""
        body = self.redact(body)
        plain = read_plain(body, self._common)
        return self._read_any(body) if plain is None else ParseResult([plain])

    def _read_any(self, body: bytes) -> ParseResult:
        update: Update = decode_json(body, decode_update)
        result = ParseResult()
        kind = next((name for name in update.__struct_fields__[1:] if bytes(getattr(update, name))), "")
        if not kind:
            _check_is_event(decode_json(body, decode_names))
            result.skip("event")
            return result
        try:
            self._read(kind, bytes(getattr(update, kind)).strip(), update.update_id, result)
        except UnparsedError as problem:
            result.unparsed.append(Unparsed(body, problem.fact))
        return result

    def _read(self, kind: str, raw: bytes, update_id: int, result: ParseResult) -> None:
        if kind == "deleted_business_messages":
            result.messages.extend(self._deletions(raw))
        elif kind == "callback_query":
            result.messages.append(self._press(raw))
        elif kind == "message_reaction":
            result.messages.append(self._reaction(raw, update_id))
        else:
            post = decode_part(raw, decode_post)
            edited = kind.startswith("edited_")
            skipped = _skipped(post, raw, edited=edited)
            if skipped and self._config.wants_own and is_by_hand(post):
                result.add_own(msgspec.structs.replace(self._post(post, raw), phone=str(post.chat.id)))
            elif skipped:
                result.skip(skipped)
            else:
                result.messages.append(self._edit(post, raw, update_id) if edited else self._post(post, raw))

    def _post(self, post: Post, raw: bytes) -> Message:
        replied = post.reply_to_message.message_id if post.reply_to_message else 0
        opening = post.is_topic_message and replied == post.message_thread_id
        return self._message(
            phone=_sender(post),
            text=find_text(post),
            id=_id(post.business_connection_id, post.chat, post.message_id),
            account=post.business_connection_id,
            chat=_chat(post),
            sent_ms=parse_unix_ms(post.date),
            type=_type(post, raw),
            media=find_media(post),
            refers=_id(post.business_connection_id, post.chat, replied) if replied and not opening else "",
            metadata=build_metadata(raw, **find_facts(post)),
            album=post.media_group_id,
            cut=is_cut_by_telegram(post.text),
        )

    def _edit(self, post: Post, raw: bytes, update_id: int) -> Message:
        original = self._post(post, raw)
        return msgspec.structs.replace(
            original, id=f"{original.id}:{update_id}", type="edit", refers=original.id, album="", cut=False,
            sent_ms=parse_unix_ms(post.edit_date) or original.sent_ms,
        )  # fmt: skip

    def _press(self, raw: bytes) -> Message:
        pressed: Pressed = decode_part(raw, decode_pressed)
        post = pressed.message
        account = post.business_connection_id if post else ""
        return self._message(
            phone=str(pressed.sender.id),
            text=first_nonempty(find_caption(post, pressed.data), pressed.data, pressed.game_short_name),
            id=pressed.id,
            account=account,
            chat=_chat(post) if post else "",
            type="button",
            refers=_id(account, post.chat, post.message_id) if post else "",
            metadata=build_metadata(raw, button=pressed.data, **describe_person(pressed.sender)),
        )

    def _reaction(self, raw: bytes, update_id: int) -> Message:
        reaction: Reaction = decode_part(raw, decode_reaction)
        sender = reaction.user or reaction.actor_chat
        original = _id("", reaction.chat, reaction.message_id)
        return self._message(
            phone=str(sender.id) if sender else "",
            text="".join(emoji.emoji for emoji in reaction.new_reaction),
            id=f"{original}:{update_id}",
            chat="" if reaction.chat.type == "private" else str(reaction.chat.id),
            sent_ms=parse_unix_ms(reaction.date),
            type="reaction",
            refers=original,
            metadata=build_metadata(raw, **describe_person(reaction.user)),
        )

    def _deletions(self, raw: bytes) -> list[Message]:
        """Return a message for each deletion. It does not name the person, so the chat stands for them."""
        deleted: Deleted = decode_part(raw, decode_deleted)
        account = deleted.business_connection_id
        originals = [_id(account, deleted.chat, message_id) for message_id in deleted.message_ids]
        return [
            self._message(
                phone=str(deleted.chat.id), text="", id=f"{original}:deleted", account=account,
                type="deletion", refers=original, metadata=build_metadata(raw),
            )
            for original in originals
        ]  # fmt: skip

    def _message(self, **fields: Any) -> Message:
        message = Message(
            channel=self._name, company=self._common.company, platform="telegram",
            id_scope=build_id_scope("telegram", fields.get("account", ""), self._common.id_scope), **fields,
        )  # fmt: skip
        return check_limits(message, self._max_text_bytes)


def _check_is_event(names: Iterable[str]) -> None:
    """Raise UnparsedError for an update of a kind that rfctl does not know."""
    unknown = sorted(set(names) - EVENTS - {"update_id"})
    if unknown:
        raise UnparsedError(f"an update of a kind that rfctl does not know: {unknown[0][:64]}")


def _skipped(post: Post, raw: bytes, *, edited: bool) -> str:
    """Return the kind under which a post counts that no person wrote to us, or ""."""
    sender, private = post.sender, post.chat.type == "private"
    if edited and post.location and not post.venue:
        # A live location moves every few seconds: nobody typed that, and it would never go quiet.
        return "event"
    if not SERVICE.isdisjoint(decode_part(raw, decode_names)):
        return "event"
    if post.sender_business_bot:
        return "own"
    if not sender or post.sender_chat:  # a chat speaks through a bot account of Telegram's
        return ""
    if sender.is_bot:
        return "own" if private else "event"
    return "own" if post.business_connection_id and private and sender.id != post.chat.id else ""


def _sender(post: Post) -> str:
    author = post.sender_chat or post.sender
    return str(author.id) if author else ""


def _chat(post: Post) -> str:
    if post.is_topic_message and post.message_thread_id:
        return f"{post.chat.id}/{post.message_thread_id}"
    return "" if post.chat.type == "private" else str(post.chat.id)


def _id(connection: str, chat: Chat, message_id: int) -> str:
    return f"{connection}:{chat.id}:{message_id}" if connection else f"{chat.id}:{message_id}"


def _type(post: Post, raw: bytes) -> str:
    for name, kind in TYPES.items():
        if getattr(post, name):
            return kind
    names = [name for name in decode_part(raw, decode_names) if name not in ABOUT]
    return normalize_type(first_nonempty(*names))
