"""What the answer of a source in words says of the messages of a request."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from rfctl.model.stored import Added

_encode = msgspec.json.Encoder().encode


class _Batch(msgspec.Struct, rename="camel"):
    phone: str
    size: int
    due_in_ms: int


class _Receipt(msgspec.Struct, rename="camel"):
    """Says how many messages were new and how many known, and what the batch of each phone is now."""

    success: bool
    added_count: int
    duplicates: int
    batches: list[_Batch]


def render_receipt(results: Sequence[Added]) -> bytes:
    """Return the receipt, JSON, for what became of each message; of a phone's batch the last result counts."""
    added, last = 0, {}
    for result in results:
        added += result.added
        last[result.phone] = _Batch(result.phone, result.size, result.due_in_ms)
    return _encode(_Receipt(True, added, len(results) - added, [*last.values()]))
