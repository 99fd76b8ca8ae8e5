"""How a secret is written in the settings, and the key that it is. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Literal

SecretEncoding = Literal["text", "hex", "base64"]
_MARK = "whsec_"
"""What stands before a secret of Standard Webhooks, and is no part of it."""


def decode_secret(secret: str, encoding: SecretEncoding) -> bytes | None:
    """Return the key that a secret is, None when it is not written like that."""
    if encoding == "text":
        return secret.encode()
    try:
        return (
            bytes.fromhex(secret) if encoding == "hex" else decode_base64(secret.removeprefix(_MARK).encode())
        )
    except ValueError:
        return None


def decode_secrets(secrets: Iterable[str], encoding: SecretEncoding = "text") -> tuple[bytes, ...]:
    """Return the keys that secrets are. An empty one is left out: it would sign for everybody."""
    return tuple(key for secret in secrets if (key := decode_secret(secret, encoding)))


def decode_base64(text: bytes) -> bytes:
    """Return what is written in base64 or base64url, padded or not. Raises ValueError."""
    padded = text.rstrip(b"=")
    try:
        return base64.b64decode(
            padded + b"=" * (-len(padded) % 4), altchars=_find_altchars(padded), validate=True
        )
    except binascii.Error:
        raise ValueError("no base64") from None


def _find_altchars(text: bytes) -> bytes | None:
    return b"-_" if b"-" in text or b"_" in text else None
