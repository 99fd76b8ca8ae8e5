"""A merged message as `-o json` shows it."""

from __future__ import annotations

from typing import Any

import msgspec

from rfctl.model.company import decode_company
from rfctl.model.stored import Merged


def merged_as_json(merged: Merged) -> dict[str, Any]:
    """Return a merged message for `-o json`. Fields may be added; a field that is there keeps its name."""
    return {
        "id": merged.id,
        "phone": merged.phone,
        "company": decode_company(merged.company),
        "text": merged.text,
        "count": merged.count,
        "reason": merged.reason,
        "first_ms": merged.first_ms,
        "last_ms": merged.last_ms,
        "handed_ms": merged.handed_ms,
        "waited_ms": merged.waited_ms,
        "late_ms": merged.late_ms,
        "channel": merged.channel,
        "platform": merged.platform,
        "account": merged.account,
        "chat": merged.chat,
        "simulated": merged.simulated,
        "discarded": merged.discarded,
        "messages": [msgspec.Raw(raw) for raw in merged.raw],
    }
