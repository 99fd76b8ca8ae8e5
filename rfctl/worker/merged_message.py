"""What a handler gets: a merged message, and the messages of the person that it was made of. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rfctl.model import Media, Merged, StoredMessage
from rfctl.model.company import Company
from rfctl.model.stored import decode_merged


@dataclass(frozen=True, slots=True)
class Original:
    """One message as the person sent it. `sent_ms` is Unix ms, None where nobody says it.

    `id` is the provider's; `type` is text, image, voice …; `media` are its files; `refers` is the id of the message that
    it answers, edits or deletes, or "". `metadata` is what the provider or the sender gave along.
    """

    id: str
    text: str
    type: str
    media: tuple[Media, ...]
    refers: str
    sent_ms: int | None
    received_ms: int
    metadata: dict[str, Any]


@dataclass(frozen=True)
class MergedMessage:
    """What a person wrote until they paused. Times are Unix ms.

    `id` is the same each time that this message comes, also after a crash: use it as an idempotency key. `attempt`
    counts from 1. `entry_id` is its place in the stream. `batch_key` stands for the person in this chat: use it as the
    id of a conversation.
    """

    id: str
    attempt: int
    entry_id: str
    merged: Merged

    @property
    def phone(self) -> str:
        """Who wrote: a phone number, or the provider's id of the person."""
        return self.merged.phone

    @property
    def text(self) -> str:
        """All that they wrote."""
        return self.merged.text

    @property
    def company(self) -> Company:
        """The tenant that it was sent to, as it came: a number, text or None."""
        return self.merged.company

    @property
    def source(self) -> str:
        """The source of the settings that it came by."""
        return self.merged.channel

    @property
    def platform(self) -> str:
        """The network: whatsapp, telegram, sms …, or ""."""
        return self.merged.platform

    @property
    def account(self) -> str:
        """Which of our own numbers or bots was written to, or ""."""
        return self.merged.account

    @property
    def chat(self) -> str:
        """The group or thread, "" in a chat of two."""
        return self.merged.chat

    @property
    def batch_key(self) -> str:
        """What stands for the person in this chat; messages of it come one after another."""
        return self.merged.batch_key or self.merged.phone

    @property
    def reason(self) -> str:
        """Why it was handed over: quiet, size, max-wait and so on."""
        return self.merged.reason

    @property
    def simulated(self) -> bool:
        """Whether `rfctl simulate` sent it, and no person did."""
        return self.merged.simulated

    @property
    def first_ms(self) -> int:
        """When the first of its messages came."""
        return self.merged.first_ms

    @property
    def last_ms(self) -> int:
        """When the last of its messages came."""
        return self.merged.last_ms

    @property
    def traceparent(self) -> str:
        """The trace of the last of its messages that has one, or ""."""
        return self.merged.traceparent

    @cached_property
    def messages(self) -> tuple[Original, ...]:
        """The messages that it was made of, in their order."""
        return tuple(_build_original(message) for message in self.merged.messages)

    @property
    def ids(self) -> tuple[str, ...]:
        """The provider's ids of these messages."""
        return tuple(message.id for message in self.messages)

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata of the first message; {} for none."""
        return self.messages[0].metadata if self.messages else {}


def decode_message(entry_id: str, attempt: int, flat: Sequence[bytes]) -> MergedMessage:
    """Return the message in an entry's flat fields. Raises ValueError for an entry that rfctl has not written."""
    names = (name.decode(errors="replace") for name in flat[::2])
    fields: Mapping[str, bytes] = dict(zip(names, flat[1::2], strict=False))
    merged = decode_merged(entry_id, fields)
    return MergedMessage(find_message_id(entry_id, flat), attempt, entry_id, merged)


def find_message_id(entry_id: str, flat: Sequence[bytes]) -> str:
    """Return the id by which a message is remembered: its delivery id, or that of its entry where it has none."""
    fields = dict(zip(flat[::2], flat[1::2], strict=False))
    return fields.get(b"delivery_id", b"").decode(errors="replace") or entry_id


def _build_original(message: StoredMessage) -> Original:
    sent = message.timestamp
    return Original(
        id=message.messageId,
        text=message.text,
        type=message.type,
        media=message.media,
        refers=message.refers,
        sent_ms=int(sent) if isinstance(sent, int | float) else None,
        received_ms=message.receivedAt,
        metadata=_decode_metadata(bytes(message.metadata)),
    )


def _decode_metadata(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
