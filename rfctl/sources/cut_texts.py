"""Whether a sender's client had to cut a text off, because it is as long as the provider lets a message be. Pure.

What comes at once behind such a text is its rest, so the two are put together without a separator.
"""

from __future__ import annotations

_TELEGRAM_UNITS = 4096
_LONGEST_SMS, _PART_SEPTETS, _PART_UNITS = 1600, 153, 67
_SHORTEST_SMS = 34
"""A shorter text has fewer than 67 UTF-16 units, whatever is in it."""
_TWICE = frozenset("^{}\\[~]|€\f")
_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The alphabet of GSM 03.38, one septet each; what is in `_TWICE` has two. Any other makes the whole text UTF-16."""
_SEPTETS = _GSM | _TWICE


def count_utf16_units(text: str) -> int:
    """Return how many UTF-16 units a text has: Telegram counts by them, and an emoji has two."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def is_cut_by_telegram(text: str) -> bool:
    """Say whether a text is as long as Telegram lets one be: 4,096 UTF-16 units."""
    return len(text) * 2 >= _TELEGRAM_UNITS and count_utf16_units(text) == _TELEGRAM_UNITS


def is_cut_sms(text: str) -> bool:
    """Say whether a text is as long as a part of a long SMS (153 septets or 67 UTF-16 units), or as 1,600 characters.

    Twilio hands on what carriers put together, up to 1,600 characters; some carriers hand on the parts.
    """
    if len(text) < _SHORTEST_SMS:
        return False
    if len(text) == _LONGEST_SMS:
        return True
    if _SEPTETS.issuperset(text):
        return len(text) + sum(map(_TWICE.__contains__, text)) == _PART_SEPTETS
    return count_utf16_units(text) == _PART_UNITS
