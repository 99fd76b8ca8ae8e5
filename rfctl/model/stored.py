"""The one form in which a message lies in Redis, and what is read back of it.

A stored item is JSON whose fields stand in a fixed order, because the scripts read it without decoding it
(Lua's decoder would change large numbers and empty arrays):

    {"message":…,"companyId":…,"channel":…[,"platform":…][,"account":…][,"chat":…][,"simulated":true],
     "messageId":…,"type":…[,"media":[…]][,"refers":…][,"phone":…],"metadata":<raw>,
     "timestamp":<ms>,"receivedAt":<ms>,"waitMs":<ms>}

What stands between `message` and `messageId` is whose the message is; a batch has only messages in which that
is the same to the byte.

Everything up to `metadata` is encoded here; the last three are added by the script `add`, whose clock is
the only one. Inside a JSON string every quote is escaped, so `","` can never occur in one: that is what
makes the scripts' plain searches safe whatever a stranger typed.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from rfctl.model.message import Media, Message

_JSON_INTEGER = re.compile(r"[1-9][0-9]{0,17}|0")
_encode = msgspec.json.Encoder().encode


def encode_company(company: str | None) -> bytes:
    """Return the company as JSON: a number where it is one, as the Node service wrote it."""
    if company is not None and _JSON_INTEGER.fullmatch(company):
        return company.encode()
    return _encode(company)


def encode_item(message: Message, *, with_phone: bool) -> bytes:
    """Return the stored item up to and with its metadata; the script appends the rest and the brace.

    `with_phone` keeps the phone inside, for keys that only hold its hash.
    """
    parts = [
        b'{"message":', _encode(message.text),
        b',"companyId":', encode_company(message.company),
        b',"channel":', _encode(message.channel),
        _given(b"platform", message.platform), _given(b"account", message.account), _given(b"chat", message.chat),
        b',"simulated":true' if message.simulated else b"",
        b',"messageId":', _encode(message.id),
        b',"type":', _encode(message.type),
        _given(b"media", message.media), _given(b"refers", message.refers),
        _given(b"phone", message.phone if with_phone else ""),
    ]  # fmt: skip
    parts += [b',"metadata":', message.metadata]
    return b"".join(parts)


def _given(name: bytes, value: Any) -> bytes:
    return b',"' + name + b'":' + _encode(value) if value else b""


class StoredMessage(msgspec.Struct, frozen=True, kw_only=True, rename={"text": "message"}):
    """A message as it is read back. Times are Unix ms by the clock of Redis, `timestamp` the sender's.

    Every field has a default: an item written by something else must be shown too, not crash the reader.
    """

    text: str = ""
    companyId: int | str | None = None  # noqa: N815 - the stored name
    channel: str = ""
    platform: str = ""
    account: str = ""
    chat: str = ""
    simulated: bool = False
    messageId: str = ""  # noqa: N815
    type: str = "text"
    media: tuple[Media, ...] = ()
    refers: str = ""
    phone: str | None = None
    metadata: msgspec.Raw = msgspec.Raw(b"{}")
    timestamp: int | float | str | None = None
    receivedAt: int = 0  # noqa: N815
    waitMs: int = 0  # noqa: N815


_decode_item = msgspec.json.Decoder(StoredMessage).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


def decode_item(raw: bytes) -> StoredMessage:
    """Read one stored item; one that is not ours comes back as text alone."""
    try:
        return _decode_item(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return StoredMessage(text=raw.decode(errors="replace"), type="unreadable")


class Added(msgspec.Struct, frozen=True):
    """What became of one message. `size` counts its batch after it; `due_in_ms` is 0 if that left at once.

    `rejected` is why Redis could not take it ("" when it could).
    """

    phone: str
    added: bool
    size: int
    due_in_ms: int
    rejected: str = ""


class HandedOver(msgspec.Struct, frozen=True):
    """What one call handed over. `next_due_ms` is Unix ms or None when nothing is pending."""

    batches: int
    messages: int
    next_due_ms: int | None
    now_ms: int
    clamped: int
    more: bool
    overdue: list[tuple[str, int]]
    """(phone, late_ms) of each batch that was overdue by more than `overdue_ms`."""


class Batch(msgspec.Struct, frozen=True):
    """The pending messages of one phone. Times are Unix ms by the clock of Redis."""

    phone: str
    messages: list[StoredMessage]
    raw: list[bytes]
    due_ms: int | None
    now_ms: int


class Merged(msgspec.Struct, frozen=True):
    """A merged message as a worker reads it. `id` is its stream entry; times are Unix ms."""

    id: str
    phone: str
    company: str
    text: str
    count: int
    reason: str
    first_ms: int
    last_ms: int
    late_ms: int
    channel: str
    simulated: bool
    raw: list[bytes]
    platform: str = ""
    account: str = ""
    chat: str = ""
    discarded: int = 0
    """How many messages before it a rule has thrown away."""

    @property
    def handed_ms(self) -> int:
        """When it was handed over: the time in its stream id."""
        return int(self.id.partition("-")[0])

    @property
    def waited_ms(self) -> int:
        """How long its first message had waited."""
        return self.handed_ms - self.first_ms

    @property
    def messages(self) -> list[StoredMessage]:
        """Its messages, decoded."""
        return [decode_item(raw) for raw in self.raw]


def decode_merged(entry_id: bytes, fields: list[bytes]) -> Merged:
    """Read one entry of the output stream."""
    got: dict[str, bytes] = {fields[i].decode(): fields[i + 1] for i in range(0, len(fields) - 1, 2)}

    def text(name: str) -> str:
        return got.get(name, b"").decode(errors="replace")

    def number(name: str) -> int:
        return int(got.get(name) or 0)

    return Merged(
        id=entry_id.decode(),
        phone=text("phone"),
        company=text("company"),
        text=text("text"),
        count=number("count"),
        reason=text("reason"),
        first_ms=number("first_ms"),
        last_ms=number("last_ms"),
        late_ms=number("late_ms"),
        channel=text("channel"),
        simulated=text("simulated") == "1",
        raw=[bytes(raw) for raw in _decode_items(got.get("messages", b"[]"))],
        platform=text("platform"),
        account=text("account"),
        chat=text("chat"),
        discarded=number("discarded"),
    )
