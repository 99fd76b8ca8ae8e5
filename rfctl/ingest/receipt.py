"""What the answer of a source in words says of the messages of a request."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from rfctl.ingest.responses import Answer, make_text_answer
from rfctl.model.stored import Added
from rfctl.sources.contract import ServedSource

_encode = msgspec.json.Encoder().encode
DONE = Answer()
"""The answer to a provider that wants no words: it may execute what it gets."""


class _Batch(msgspec.Struct, rename="camel"):
    phone: str
    size: int
    due_in_ms: int


class _Drop(msgspec.Struct):
    phone: str
    rule: str


class _Receipt(msgspec.Struct, rename="camel"):
    """Says how many messages were new and how many known, and what the batch of each phone is now."""

    success: bool
    added_count: int
    duplicates: int
    batches: list[_Batch]


class _ReceiptWithDrops(_Receipt, rename="camel"):
    """Says as well which rule dropped which message."""

    dropped: list[_Drop]


def render_receipt(results: Sequence[Added]) -> bytes:
    """Return the receipt, JSON, for what became of each message; of a phone's batch the last result counts."""
    if len(results) == 1 and not results[0].dropped_by:  # nearly all have one
        [result] = results
        start = _ONE_ADDED if result.added or result.is_own else _ONE_DUPLICATE
        return start + _encode(_Batch(result.phone, result.size, result.due_in_ms)) + _END
    dropped = [_Drop(result.phone, result.dropped_by) for result in results if result.dropped_by]
    added, last = 0, {}
    for result in results:
        if not result.dropped_by:
            added += result.added or result.is_own
            last[result.phone] = _Batch(result.phone, result.size, result.due_in_ms)
    duplicates = len(results) - len(dropped) - added
    if dropped:
        return _encode(_ReceiptWithDrops(True, added, duplicates, [*last.values()], dropped))
    return _encode(_Receipt(True, added, duplicates, [*last.values()]))


_END = b"]}"
_ONE_ADDED, _ONE_DUPLICATE = (
    _encode(_Receipt(True, added, 1 - added, [])).removesuffix(_END) for added in (1, 0)
)
"""What stands before the batch of a single message."""


def build_answer(served: ServedSource, results: Sequence[Added]) -> Answer:
    """Return the answer to a request whose messages are stored: a receipt, the words of the settings, or no words."""
    if served.in_words:
        return Answer(200, render_receipt(results))
    return make_text_answer(served.answer.encode()) if served.answer else DONE
