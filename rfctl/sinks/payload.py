"""The JSON that every receiver gets for a merged message, and names with {company}, {phone} and so on in them.

It has one of two shapes. `rfctl` is ours: times in Unix ms, whole messages in `originalMessages`. `node` is that of the
service that rfctl replaces: its workers join the texts in `originalMessages`, and read `timestamp` as a date.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from rfctl.model.closed_sets import CHANGES
from rfctl.model.company import format_company
from rfctl.model.delivery import Delivery
from rfctl.model.stored import Merged, StoredMessage

Shape = Literal["rfctl", "node"]

_NODE_PLATFORM = "whatsapp"
"""What the Node service said of every message: its workers may go by it."""
_REST_WITHIN_MS = 1000
_PLACE = re.compile(r"\{(company|phone|channel|account)\}")
_RAW = "raw"
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def payload(delivery: Delivery, shape: Shape = "rfctl", *, raw: bool = False) -> dict[str, Any]:
    """Return the message in a shape that a receiver reads.

    `message` is the merged text, and `messageId` is the same at every attempt. `metadata` is that of the first message,
    with the facts of the batch. The messages as they are stored are in its `originalMessages` (rfctl) or `originals`
    (node), still encoded (`msgspec.Raw`). `raw` keeps the provider's own object in each metadata.
    """
    merged = delivery.merged
    messages = merged.messages
    originals = [msgspec.Raw(item if raw else _without_raw(item)) for item in merged.raw]
    node = shape == "node"
    return {
        "from": merged.phone,
        "message": merged.text,
        "companyId": merged.company,
        "platform": merged.platform or (_NODE_PLATFORM if node else ""),
        "messageId": delivery.id,
        "timestamp": format_iso(merged.handed_ms) if node else merged.handed_ms,
        "metadata": {
            **_first_metadata(messages, raw=raw),
            **_facts(merged, messages),
            "originalMessages": _texts(messages) if node else originals,
            **({"originals": originals} if node else {}),
        },
    }


def encode_payload(delivery: Delivery, shape: Shape = "rfctl", *, raw: bool = False) -> bytes:
    """Return the payload as JSON."""
    return msgspec.json.encode(payload(delivery, shape, raw=raw))


def encode_line(delivery: Delivery, shape: Shape = "rfctl", *, raw: bool = False) -> bytes:
    """Return the payload as JSON on one line, with its end.

    A provider's metadata is passed on as it came, and may have been written over several lines.
    """
    body = encode_payload(delivery, shape, raw=raw)
    is_one_line = b"\n" not in body and b"\r" not in body
    return (body if is_one_line else msgspec.json.format(body, indent=-1)) + b"\n"


def format_iso(ms: int) -> str:
    """Return Unix ms as JavaScript's Date.toISOString does."""
    return f"{datetime.fromtimestamp(ms // 1000, UTC).isoformat()[:19]}.{ms % 1000:03d}Z"


def _facts(merged: Merged, messages: Sequence[StoredMessage]) -> dict[str, Any]:
    return {
        "messageId": messages[-1].messageId if messages else "",
        "isRapidFireBatch": merged.count > 1,
        "batchSize": merged.count,
        "batchTimeSpan": merged.last_ms - merged.first_ms,
        "oldestSentMs": merged.oldest_sent_ms,
        "reason": merged.reason,
        "channel": merged.channel,
        "account": merged.account,
        "chat": merged.chat,
        "simulated": merged.simulated,
    }


def _first_metadata(messages: Sequence[StoredMessage], *, raw: bool) -> dict[str, msgspec.Raw]:
    fields = _decode_object(messages[0].metadata) if messages else {}
    return {name: value for name, value in fields.items() if raw or name != _RAW}


def _texts(messages: Sequence[StoredMessage]) -> list[str]:
    """Return the texts that the merged one is made of: a change has changed the one that it refers to."""
    texts = [message.text for message in messages]
    is_cut = [message.cut for message in messages]
    places = {message.messageId: place for place, message in enumerate(messages) if message.messageId}
    for place, message in enumerate(messages):
        about = places.get(message.refers) if message.type in CHANGES else None
        if about is not None and about != place:
            texts[about] = "" if message.type == "deletion" else message.text
            texts[place], is_cut[about] = "", False
    return _join_cut(messages, texts, is_cut)


def _join_cut(messages: Sequence[StoredMessage], texts: Sequence[str], is_cut: Sequence[bool]) -> list[str]:
    """Return the texts that are not empty; one that the sender's client cut has its rest behind it."""
    joined: list[str] = []
    before: int | None = None
    for place, text in enumerate(texts):
        if not text:
            continue
        if before is not None and is_cut[before] and _goes_on(messages[before], messages[place]):
            joined[-1] += text
        else:
            joined.append(text)
        before = place
    return joined


def _goes_on(part: StoredMessage, rest: StoredMessage) -> bool:
    """Say whether a text is the rest of the one before it, as the script that merges them does."""
    if rest.type != "text" or not (isinstance(part.timestamp, int) and isinstance(rest.timestamp, int)):
        return False
    sent, received = rest.timestamp - part.timestamp, rest.receivedAt - part.receivedAt
    return 0 <= sent <= _REST_WITHIN_MS and received <= _REST_WITHIN_MS


def _without_raw(item: bytes) -> bytes:
    """Return a stored item without the provider's own object; every other value keeps its bytes."""
    if b'"raw"' not in item and b"\\" not in item:  # most have none; an escape may spell its name
        return item
    fields = _decode_object(item)
    metadata = _decode_object(fields.get("metadata", b"{}"))
    if metadata.pop(_RAW, None) is None:
        return item
    return msgspec.json.encode({**fields, "metadata": metadata})


def _decode_object(raw: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    try:
        return _decode_fields(raw)
    except (msgspec.DecodeError, RecursionError):
        return {}


def render_template(template: str, delivery: Delivery) -> str:
    """Return a name template (queue, list, stream) with {company}, {phone}, {channel} and {account} filled in, once."""
    merged = delivery.merged
    places = {
        "company": format_company(merged.company) or "none",
        "phone": merged.phone,
        "channel": merged.channel,
        "account": merged.account,
    }
    return _PLACE.sub(lambda place: places[place[1]], template)
