"""The JSON that every receiver gets for a merged message, and names with {company}, {phone} and so on in them."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from rfctl.model.company import build_company_value
from rfctl.model.delivery import Delivery

_PLACE = re.compile(r"\{(company|phone|channel|account)\}")


def payload(delivery: Delivery) -> dict[str, Any]:
    """Return the message in the shape that the Node service's worker reads.

    `message` is the merged text, and `messageId` is the same at every attempt. `metadata` is that of the first message,
    with the facts of the batch. Its `originalMessages` are the messages as they are stored, still encoded (`msgspec.Raw`).
    """
    merged = delivery.merged
    messages = merged.messages
    last = messages[-1] if messages else None
    return {
        "from": merged.phone,
        "message": merged.text,
        "companyId": build_company_value(merged.company),
        "platform": merged.platform or "whatsapp",
        "messageId": delivery.id,
        "timestamp": merged.handed_ms,
        "metadata": {
            **_decode_object(messages[0].metadata if messages else b"{}"),
            "messageId": last.messageId if last else "",
            "isRapidFireBatch": merged.count > 1,
            "batchSize": merged.count,
            "batchTimeSpan": merged.last_ms - merged.first_ms,
            "reason": merged.reason,
            "channel": merged.channel,
            "account": merged.account,
            "chat": merged.chat,
            "simulated": merged.simulated,
            "originalMessages": [msgspec.Raw(raw) for raw in merged.raw],
        },
    }


def encode_payload(delivery: Delivery) -> bytes:
    """Return the payload as JSON."""
    return msgspec.json.encode(payload(delivery))


def _decode_object(raw: bytes) -> dict[str, msgspec.Raw]:
    try:
        return msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return {}


def render_template(template: str, delivery: Delivery) -> str:
    """Return a name template (queue, list, stream) with {company}, {phone}, {channel} and {account} filled in, once."""
    merged = delivery.merged
    places = {
        "company": merged.company or "none",
        "phone": merged.phone,
        "channel": merged.channel,
        "account": merged.account,
    }
    return _PLACE.sub(lambda place: places[place[1]], template)
