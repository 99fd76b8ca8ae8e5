"""What WhatsApp tells of a person whose ids change: a system message, which no person wrote. Pure.

`user_changed_user_id` names the business-scoped id of before and that of now. `user_changed_number` names the new number
too. Form: https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/system/
"""

from __future__ import annotations

import msgspec

from rfctl.model.message import MAX_ID_CHARS, MAX_PHONE_CHARS, Renaming, normalize_phone


class _System(msgspec.Struct):
    type: str | None = None
    user_id: str | None = None
    previous_user_id: str | None = None
    wa_id: str | None = None


class _Message(msgspec.Struct):
    system: _System | None = None


_TYPES = frozenset({"user_changed_user_id", "user_changed_number"})
_decode_message = msgspec.json.Decoder(_Message).decode


def read_renaming(raw: bytes, channel: str) -> Renaming | None:
    """Return whose id has changed by a system message, None where it says nothing of that."""
    try:
        system = _decode_message(raw).system
    except (msgspec.DecodeError, RecursionError):
        return None
    if system is None or system.type not in _TYPES:
        return None
    alias, former = normalize_phone(system.user_id or ""), normalize_phone(system.previous_user_id or "")
    phone = normalize_phone(system.wa_id or "")
    has_ids = bool(alias and (phone or former)) and alias not in (phone, former)
    is_short = len(alias) <= MAX_ID_CHARS and len(former) <= MAX_ID_CHARS and len(phone) <= MAX_PHONE_CHARS
    return Renaming(channel, alias, former, phone) if has_ids and is_short else None
