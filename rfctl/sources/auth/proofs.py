"""Judges requests: each proof says what is missing in a request, in words for the operator's log. Pure.

Words never have a value of the request or of the settings. All secrets are tried, and compared in constant time.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pkgutil import resolve_name
from typing import assert_never

from rfctl.sources.auth.config import Auth, BasicAuth, HmacAuth, JwtAuth, TokenAuth
from rfctl.sources.auth.secrets import decode_base64, decode_secrets
from rfctl.sources.auth.template import Signable
from rfctl.sources.contract import CLOCK_DOUBT, Request
from rfctl.sources.parsing import SECONDS_BELOW
from rfctl.sources.signing import Keys, encode_secrets, matches_any

_DIGEST_BYTES = {"sha1": 20, "sha256": 32, "sha512": 64}
_JWT_PROOF = "rfctl.sources.auth.jwt_proof:JwtProof"
_MOST_SIGNATURES = 8
_WORDS = (b"bearer", b"token")
_MOST_DIGITS = 16
_VALUE = rb"([A-Za-z0-9+/_=-]+)"


class Proof(ABC):
    """One way in which a request proves itself."""

    @abstractmethod
    def find_fault(self, request: Request, now_ms: int) -> str:
        """Return what is wrong with the proof of a request, "" when it is right. `now_ms` is Unix ms."""


class TokenProof(Proof):
    """One of the secrets is in the request as it is. In a header the word Bearer, or Token, may stand before it."""

    def __init__(self, auth: TokenAuth, secrets: Sequence[str]) -> None:
        self._place = auth.place
        self._tokens = encode_secrets(secrets)

    def find_fault(self, request: Request, now_ms: int) -> str:  # noqa: ARG002 - a token has no time in it
        """Return why the request does not have the token; "" when it does."""
        sent = self._place.read(request)
        if not sent:
            return f"it does not have {self._place.describe()}"
        is_token = matches_any(sent, self._tokens)
        if self._place.kind == "header":
            word, _, rest = sent.partition(b" ")
            is_token |= word.lower() in _WORDS and matches_any(rest.strip(), self._tokens)
        return "" if is_token else f"{self._place.describe()} is none of the secrets"


class BasicProof(Proof):
    """One of the secrets is the user and the password of the request."""

    def __init__(self, auth: BasicAuth, secrets: Sequence[str]) -> None:
        self._place = auth.place
        self._users = encode_secrets(secrets)

    def find_fault(self, request: Request, now_ms: int) -> str:  # noqa: ARG002 - a password has no time in it
        """Return why the request does not have user and password; "" when it does."""
        sent = self._place.read(request)
        word, _, encoded = sent.partition(b" ")
        if not sent:
            return f"it does not have {self._place.describe()}"
        if word.lower() != b"basic":
            return f"{self._place.describe()} does not begin with Basic"
        try:
            user = decode_base64(encoded.strip())
        except ValueError:
            return f"{self._place.describe()} has no base64 behind Basic"
        is_user = matches_any(user, self._users)
        return "" if is_user else f"{self._place.describe()} has another user or password than the secrets"


class HmacProof(Proof):
    """One of the secrets has signed the request, lately if the time is a part of that.

    A signature is hex, base64 or base64url: its length says which.
    """

    def __init__(self, auth: HmacAuth, secrets: Sequence[str], origin: str = "") -> None:
        self._place, self._timestamp = auth.place, auth.timestamp
        self._origin = origin
        self._keys = Keys(decode_secrets(secrets, auth.secret_encoding), auth.algorithm)
        self._build_signed = auth.template.compile()
        self._size = _DIGEST_BYTES[auth.algorithm]
        self._plain = f"{auth.algorithm}=".encode()
        self._find = _compile_prefix(auth.prefix)
        self._find_time = _compile_prefix(auth.timestamp_prefix)
        self._max_age_ms = auth.max_age_s * 1000
        self._names_url = auth.signs_url

    def find_fault(self, request: Request, now_ms: int) -> str:
        """Return why no secret has signed the request; "" when one has, and lately."""
        sent = self._place.read(request)
        if not sent:
            return f"it does not have {self._place.describe()}"
        timestamp = b""
        if self._timestamp is not None:
            timestamp = self._read_timestamp(request)
            if not timestamp:
                return f"it does not have {self._timestamp.describe()}"
        signatures = self._read_signatures(sent)
        if not signatures:
            return f"{self._place.describe()} has no signature of {self._size} bytes, in hex or base64"
        signable = Signable(request, timestamp, self._origin)
        expected = self._keys.sign(self._build_signed(signable))
        if not sum(matches_any(signature, expected) for signature in signatures):
            return (
                f"no secret gives the signature in {self._place.describe()}{self._describe_signed(signable)}"
            )
        return self._find_age_fault(timestamp, now_ms) if self._timestamp is not None else ""

    def _read_signatures(self, sent: bytes) -> list[bytes]:
        if self._find is None:
            parts = [sent[len(self._plain) :] if sent[: len(self._plain)].lower() == self._plain else sent]
        else:
            parts = self._find.findall(sent)[:_MOST_SIGNATURES]
        decoded = (_decode_signature(part, self._size) for part in parts)
        return [signature for signature in decoded if signature is not None]

    def _read_timestamp(self, request: Request) -> bytes:
        sent = b"" if self._timestamp is None else self._timestamp.read(request)
        if self._find_time is None:
            return sent
        match = self._find_time.search(sent)
        return b"" if match is None else match[1]

    def _describe_signed(self, signable: Signable) -> str:
        """Return which address was a part of what is signed, without its query, which may have a secret."""
        if not self._names_url:
            return ""
        return f", over the address {self._origin}{signable.request.path}"

    def _find_age_fault(self, timestamp: bytes, now_ms: int) -> str:
        if not timestamp.isdigit() or len(timestamp) > _MOST_DIGITS:
            return "the signature is right, and its time is no Unix time in s or ms"
        number = int(timestamp)
        return find_age_fault(number * 1000 if number < SECONDS_BELOW else number, now_ms, self._max_age_ms)


def find_age_fault(at_ms: int, now_ms: int, max_age_ms: int) -> str:
    """Return by how much a right signature is too old, or ahead of now; "" when it is not, or without a limit."""
    age_ms = now_ms - at_ms
    if not max_age_ms or abs(age_ms) <= max_age_ms:
        return ""
    off = f"{age_ms // 1000} s old" if age_ms > 0 else f"{-age_ms // 1000} s ahead of this host's clock"
    limit = f"where {max_age_ms // 1000} s are the limit"
    return f"the signature is right, and {off}, {limit}: it was sent again, or {CLOCK_DOUBT}"


def build_proof(auth: Auth, secrets: Sequence[str], origin: str = "") -> Proof:
    """Return what judges requests by these settings. `origin` is scheme and host of the address that senders call."""
    match auth:
        case TokenAuth():
            return TokenProof(auth, secrets)
        case BasicAuth():
            return BasicProof(auth, secrets)
        case HmacAuth():
            return HmacProof(auth, secrets, origin)
        case JwtAuth():
            jwt_proof: Proof = resolve_name(_JWT_PROOF)(auth, secrets, origin)  # its library takes a while
            return jwt_proof
        case _:
            assert_never(auth)


def _compile_prefix(prefix: str) -> re.Pattern[bytes] | None:
    """Return what finds the values behind a prefix, in a header that may have several parts; None without a prefix."""
    return re.compile(rb"(?:^|[,; ])" + re.escape(prefix.encode()) + _VALUE) if prefix else None


def _decode_signature(text: bytes, size: int) -> bytes | None:
    """Return the bytes of a signature of this size, None when it is none."""
    try:
        decoded = bytes.fromhex(text.decode("ascii")) if len(text) == 2 * size else decode_base64(text)
    except ValueError:
        return None
    return decoded if len(decoded) == size else None
