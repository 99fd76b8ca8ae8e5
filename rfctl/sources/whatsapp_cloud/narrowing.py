"""Takes a request of Meta's apart by the number that it is for: one may bring messages to several numbers of an app."""

from __future__ import annotations

import msgspec

from rfctl.sources.contract import UnparsedError
from rfctl.sources.parsing import decode_json, decode_part
from rfctl.sources.whatsapp_cloud.plain import Account


class _Value(msgspec.Struct):
    metadata: Account


class _Change(msgspec.Struct):
    value: _Value


class _Entry(msgspec.Struct):
    id: msgspec.Raw = msgspec.Raw(b'""')
    changes: list[msgspec.Raw] = []


class _Body(msgspec.Struct):
    entry: list[msgspec.Raw] = []


_decode_body = msgspec.json.Decoder(_Body).decode
_decode_entry = msgspec.json.Decoder(_Entry).decode
_decode_change = msgspec.json.Decoder(_Change).decode


def narrow(body: bytes, account: str) -> bytes:
    """Return a body with only the changes of this number. What cannot be read is for no number."""
    entries = []
    for raw in decode_json(body, _decode_body).entry:
        try:
            entry = decode_part(bytes(raw), _decode_entry)
        except UnparsedError:
            continue
        changes = [change for change in entry.changes if _find_account(change) == account]
        if changes:
            entries.append({"id": entry.id, "changes": changes})
    return msgspec.json.encode({"object": "whatsapp_business_account", "entry": entries})


def _find_account(change: msgspec.Raw) -> str:
    try:
        return str(decode_part(bytes(change), _decode_change).value.metadata.phone_number_id)
    except UnparsedError:
        return ""
