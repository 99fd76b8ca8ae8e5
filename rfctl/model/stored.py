"""The form in which a message is stored in Redis, and the types that are read back.

A stored item is JSON whose fields stand in a fixed order, because the scripts read it without decoding it
(Lua's decoder would change large numbers and empty arrays):

    {"message":…,"companyId":…,"channel":…[,"platform":…][,"account":…][,"chat":…][,"simulated":true],
     "messageId":…[,"traceparent":…][,"cut":true],"type":…[,"media":[…]][,"refers":…][,"album":…][,"phone":…],
     "metadata":<raw>[,"sentAt":null],"timestamp":<ms>,"receivedAt":<ms>,"waitMs":<ms>}

The fields between `message` and `messageId` say whose the message is. They are the same to the byte in all messages of
a batch. `traceparent` and `cut` stand right behind the id, whose end the scripts look for anyway: so a message without
them costs them nothing. A message with an `album` is no text, which they see there too.

`timestamp` is when the message was sent. Where the provider does not say it, `sentAt` is there, and it is when the
message came.

This module encodes everything up to `metadata`. The script `add` appends the last three fields by its own clock, the
only one. Inside a JSON string every quote is escaped, so `","` never occurs in it. That makes the plain searches of
the scripts safe, whatever a stranger typed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from rfctl.model.company import Company, decode_company, encode_company, restore_company
from rfctl.model.message import Media, Message
from rfctl.model.strict_json import find_json_fault
from rfctl.model.traceparent import find_last, read_traceparents

_encode = msgspec.json.Encoder().encode


def encode_item(message: Message, *, with_phone: bool) -> bytes:
    """Return the stored item up to and with its metadata; the script `add` appends the rest and the brace.

    `with_phone` keeps the phone inside, for keys that only hold its hash.
    """
    # One format, and no call for what is empty: every message passes here.
    whose = trace = what = b""
    if message.platform:
        whose = b',"platform":' + _encode(message.platform)
    if message.account:
        whose += b',"account":' + _encode(message.account)
    if message.chat:
        whose += b',"chat":' + _encode(message.chat)
    if message.simulated:
        whose += b',"simulated":true'
    if message.traceparent:
        trace = b',"traceparent":' + _encode(message.traceparent)
    if message.cut:
        trace += b',"cut":true'
    if message.media:
        what = b',"media":' + _encode(message.media)
    if message.refers:
        what += b',"refers":' + _encode(message.refers)
    if message.album:
        what += b',"album":' + _encode(message.album)
    if with_phone and message.phone:
        what += b',"phone":' + _encode(message.phone)
    return b'{"message":%b,"companyId":%b,"channel":%b%b,"messageId":%b%b,"type":%b%b,"metadata":%b' % (
        _encode(message.text),
        encode_company(message.company),
        _encode(message.channel),
        whose,
        _encode(message.id),
        trace,
        _encode(message.type),
        what,
        message.metadata,
    )


class StoredMessage(msgspec.Struct, frozen=True, kw_only=True, rename={"text": "message"}):
    """A message as it is read back. Times are Unix ms by the clock of Redis, `timestamp` the sender's.

    Every field has a default: an item that another program wrote must be shown too, not crash the reader.
    """

    text: str = ""
    companyId: Company = None  # noqa: N815 - the stored name
    channel: str = ""
    platform: str = ""
    account: str = ""
    chat: str = ""
    simulated: bool = False
    messageId: str = ""  # noqa: N815
    traceparent: str | None = None
    cut: bool = False
    type: str = "text"
    media: tuple[Media, ...] = ()
    refers: str = ""
    album: str = ""
    phone: str | None = None
    metadata: msgspec.Raw = msgspec.Raw(b"{}")
    timestamp: int | float | str | None = None
    receivedAt: int = 0  # noqa: N815
    waitMs: int = 0  # noqa: N815

    @property
    def company(self) -> Company:
        """The company as it came, or None."""
        return decode_company(self.companyId)


_decode_item = msgspec.json.Decoder(StoredMessage).decode
_check = msgspec.json.Decoder(msgspec.Raw).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


def decode_item(raw: bytes) -> StoredMessage:
    """Read a stored item; an item of another program comes back as text alone, of type `unreadable`."""
    try:
        if not find_json_fault(raw):
            return _decode_item(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    return StoredMessage(text=raw.decode(errors="replace"), type="unreadable")


def as_strict_json(item: bytes) -> bytes:
    """Return a stored item as every reader takes it: what another program wrote otherwise becomes a string."""
    try:
        _check(item)
        item.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _encode(item.decode(errors="replace"))
    return _encode(item.decode()) if find_json_fault(item) else item


NEVER_DUE_MS = 2**53
"""When nothing becomes due."""


class Added(msgspec.Struct, frozen=True, gc=False):
    """What became of one message. `size` counts its batch with it; `due_in_ms` is 0 if the batch left at once.

    `rejected` is why Redis could not take the message ("" when it could). `dropped_by` is the rule that dropped it, ""
    for none; then it is in no batch. Words of our own side (`is_own`) have done what the settings say, and are in none.
    """

    phone: str
    added: bool
    size: int
    due_in_ms: int
    rejected: str = ""
    dropped_by: str = ""
    is_own: bool = False


class HandedOver(msgspec.Struct, frozen=True):
    """What one call handed over. `next_due_ms` is Unix ms or None when nothing is pending."""

    batches: int
    messages: int
    next_due_ms: int | None
    now_ms: int
    clamped: int
    more: bool
    overdue: int = 0
    """How many batches were later than `overdue_ms`."""
    latest: tuple[str, int] = ("", 0)
    """The phone and late_ms of the latest of these; ("", 0) for none."""
    set_aside: int = 0
    """How many batches could not be handed over, and are tried again later."""


def sum_answers(answers: Sequence[HandedOver]) -> HandedOver:
    """Return the answers of several shards as one: the earliest due time, and the sum of the rest."""
    dues = [answer.next_due_ms for answer in answers if answer.next_due_ms is not None]
    return HandedOver(
        batches=sum(answer.batches for answer in answers),
        messages=sum(answer.messages for answer in answers),
        next_due_ms=min(dues, default=None),
        now_ms=max(answer.now_ms for answer in answers),
        clamped=sum(answer.clamped for answer in answers),
        more=any(answer.more for answer in answers),
        overdue=sum(answer.overdue for answer in answers),
        latest=max((answer.latest for answer in answers), key=lambda latest: latest[1], default=("", 0)),
        set_aside=sum(answer.set_aside for answer in answers),
    )


class Batch(msgspec.Struct, frozen=True):
    """The pending messages of one phone. Times are Unix ms by the clock of Redis."""

    phone: str
    messages: list[StoredMessage]
    raw: list[bytes]
    due_ms: int | None
    now_ms: int
    held_until_ms: int | None = None
    """Until when it is held, Unix ms; None: it is not."""


class Merged(msgspec.Struct, frozen=True):
    """A merged message as a worker reads it. `id` is its stream entry; times are Unix ms."""

    id: str
    phone: str
    company: Company
    text: str
    count: int
    reason: str
    """A `Reason`; any text in an entry that another program wrote."""
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
    """How many messages before it a rule threw away."""
    batch_key: str = ""
    delivery_id: str = ""
    """The id by which receivers know it; "" in an entry of layout 1."""
    oldest_sent_ms: int | None = None
    """When the oldest of its messages was sent, by the provider; None where it says so of none."""
    traceparents: tuple[str, ...] = ()
    """The traces of its messages, in their order, "" for a message without one; empty where no message has any."""

    @property
    def handed_ms(self) -> int:
        """When it was handed over: the time in its stream id."""
        return int(self.id.partition("-")[0])

    @property
    def waited_ms(self) -> int:
        """How long its first message had waited."""
        return self.handed_ms - self.first_ms

    @property
    def traceparent(self) -> str:
        """The trace of the last of its messages that has one, or ""."""
        return find_last(self.traceparents)

    @property
    def messages(self) -> list[StoredMessage]:
        """Its messages, decoded."""
        return [decode_item(raw) for raw in self.raw]


def decode_merged(entry_id: str, fields: Mapping[str, bytes]) -> Merged:
    """Read one entry of the output stream."""

    def text(name: str) -> str:
        return fields.get(name, b"").decode(errors="replace")

    def number(name: str) -> int:
        return int(fields.get(name) or 0)

    raw = [as_strict_json(bytes(item)) for item in _decode_items(fields.get("messages", b"[]"))]
    traces, oldest = fields.get("traceparents"), fields.get("oldest_sent_ms")
    return Merged(
        id=entry_id,
        phone=text("phone"),
        company=restore_company(text("company"), raw[0] if raw else b""),
        text=text("text"),
        count=number("count"),
        reason=text("reason"),
        first_ms=number("first_ms"),
        last_ms=number("last_ms"),
        late_ms=number("late_ms"),
        channel=text("channel"),
        simulated=text("simulated") == "1",
        raw=raw,
        platform=text("platform"),
        account=text("account"),
        chat=text("chat"),
        discarded=number("discarded"),
        batch_key=text("batch_key"),
        delivery_id=text("delivery_id"),
        oldest_sent_ms=int(oldest) if oldest else None,
        traceparents=read_traceparents(traces) if traces else (),
    )
