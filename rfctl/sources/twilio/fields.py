"""The fields of a form, as `urllib.parse.parse_qsl` reads them, in less time, and what an address in one says. Pure."""

from __future__ import annotations

import re
from urllib.parse import unquote, unquote_to_bytes

from rfctl.model.message import normalize_phone
from rfctl.sources.contract import UnparsedError

MAX_FIELDS = 200
ALGORITHM = "HMAC_SHA1"
"""What requests of old are signed by."""
Fields = list[tuple[str, str]]
_ADDRESS = re.compile(r"([A-Za-z]{1,32}):(.*)", re.DOTALL)


def read_fields(body: bytes, errors: str) -> Fields:
    """Return a form's fields as `parse_qsl` does: blank ones count, and so do repeated ones."""
    text = body.decode(errors=errors)
    if text.count("&") >= MAX_FIELDS:
        raise UnparsedError(f"more than {MAX_FIELDS} fields")
    pairs = (pair.partition("=") for pair in text.replace("+", " ").split("&") if pair)
    return [(_unquote(name, errors), _unquote(value, errors)) for name, _, value in pairs]


def read_address(text: str) -> tuple[str, str]:
    """Return the network and the tidied phone of `whatsapp:+1…`, or of `+1…`, which is an SMS."""
    prefixed = _ADDRESS.fullmatch(text.strip()) if ":" in text else None
    if prefixed is None:
        return "sms", normalize_phone(text)
    return prefixed[1].lower(), normalize_phone(prefixed[2])


def read_algorithm(settings: bytes) -> str:
    """Return what `X-Twilio-Webhooks-Signature-Settings: key=…,algorithm=…` names; requests of old have none."""
    for part in settings.decode("latin-1").split(","):
        name, _, value = part.partition("=")
        if name.strip() == "algorithm" and value.strip():
            return value.strip().upper()
    return ALGORITHM


def _unquote(text: str, errors: str) -> str:
    if "%" not in text:
        return text
    if text.isascii():
        return unquote_to_bytes(text).decode(errors=errors)
    return unquote(text, errors=errors)
