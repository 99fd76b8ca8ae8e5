"""Secrets: what is signed with them, and compared in constant time. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from hmac import compare_digest


def matches_any(sent: bytes, expected: Iterable[bytes]) -> bool:
    """Say whether `sent` is any of the values, in constant time. Each is compared, so that the time does not tell which."""
    is_equal = False
    for value in expected:
        is_equal |= compare_digest(sent, value)
    return is_equal


def encode_secrets(secrets: Iterable[str | bytes]) -> tuple[bytes, ...]:
    """Return secrets as headers have them. An empty one is left out: it would match a header that was not sent."""
    return tuple(secret if isinstance(secret, bytes) else secret.encode() for secret in secrets if secret)


class Keys:
    """Signs with each of the secrets, by HMAC with a digest such as `sha256`. The start of each is computed once."""

    def __init__(self, secrets: Iterable[str | bytes], digest: str) -> None:
        self._begun = tuple(hmac.new(secret, digestmod=digest) for secret in encode_secrets(secrets))

    def sign(self, signed: bytes) -> list[bytes]:
        """Return the digest by each of the secrets."""
        digests = []
        for begun in self._begun:
            mac = begun.copy()
            mac.update(signed)
            digests.append(mac.digest())
        return digests
