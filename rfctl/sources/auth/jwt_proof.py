"""A JSON Web Token that one of the secrets has signed (HS256, HS384 or HS512).

PyJWT checks the signature, and nothing else: times go by the receiver's clock, and the words for the log are ours. It is
here for Evolution's tokens anyway.
"""

from __future__ import annotations

import hashlib
import hmac
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import jwt
import msgspec

from rfctl.sources.auth.config import JwtAuth
from rfctl.sources.auth.proofs import Proof, find_age_fault
from rfctl.sources.auth.secrets import decode_secrets
from rfctl.sources.auth.template import Signable
from rfctl.sources.contract import CLOCK_DOUBT, Request
from rfctl.sources.parsing import strip_bearer

_decode_claims = msgspec.json.Decoder(dict[str, Any]).decode
_LATEST_S = 10**12


class JwtProof(Proof):
    """One of the secrets has signed a token, which is of now, and of this body or address if `auth` says so."""

    def __init__(self, auth: JwtAuth, secrets: Sequence[str], origin: str = "") -> None:
        self._auth = auth
        self._place = auth.place
        self._keys = decode_secrets(secrets, auth.secret_encoding)
        self._origin = origin
        self._jws = jwt.PyJWS(algorithms=[auth.algorithm])

    def find_fault(self, request: Request, now_ms: int) -> str:
        """Return why no secret has signed the token, or why it is not for this request; "" when one has."""
        sent = strip_bearer(self._place.read(request))
        if not sent:
            return f"it does not have {self._place.describe()}"
        tokens = [payload for key in self._keys if (payload := self._open(sent, key)) is not None]
        if not tokens:
            return f"no secret has signed the token in {self._place.describe()} with {self._auth.algorithm}"
        try:
            claims = _decode_claims(tokens[0])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return "the token is signed, and what is in it is no JSON object"
        return self._find_time_fault(claims, now_ms) or self._find_claim_fault(claims, request)

    def _open(self, token: bytes, key: bytes) -> bytes | None:
        """Return what is in a token that this key has signed; None for any other."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the provider chooses how long its secrets are
                payload: bytes = self._jws.decode(token, key, algorithms=[self._auth.algorithm])
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):  # a stranger's token may be anything
            return None
        return payload

    def _find_time_fault(self, claims: Mapping[str, Any], now_ms: int) -> str:
        leeway_ms = self._auth.leeway_s * 1000
        expires_ms, begins_ms = _read_ms(claims, "exp"), _read_ms(claims, "nbf")
        if "exp" in claims and (expires_ms is None or now_ms > expires_ms + leeway_ms):
            ago = "" if expires_ms is None else f" {(now_ms - expires_ms) // 1000} s ago"
            return f"the token is signed, and expired{ago}: it was sent again, or {CLOCK_DOUBT}"
        if "nbf" in claims and (begins_ms is None or now_ms < begins_ms - leeway_ms):
            ahead = "" if begins_ms is None else f" for {(begins_ms - now_ms) // 1000} s"
            return f"the token is signed, and not valid yet{ahead}: {CLOCK_DOUBT}"
        if not self._auth.max_age_s:
            return ""
        issued_ms = _read_ms(claims, "iat")
        if issued_ms is None:
            return "the token is signed, and has no iat, which auth.max_age_s needs"
        return find_age_fault(issued_ms, now_ms, self._auth.max_age_s * 1000)

    def _find_claim_fault(self, claims: Mapping[str, Any], request: Request) -> str:
        for name, value in self._auth.claims.items():
            if type(claims.get(name)) is not type(value) or claims[name] != value:
                return f"the token is signed, and its {name} is not the one of auth.claims"
        url = Signable(request, origin=self._origin).url.encode(errors="surrogatepass")
        for name, hashed, what in (
            (self._auth.payload_hash, request.body, "of this body"),
            (self._auth.url_hash, url, f"of the address {self._origin}{request.path}"),
        ):
            if name and not _is_hash(claims.get(name), hashed):
                return f"the token is signed, and its {name} is not {what}"
        return ""


def _is_hash(value: object, content: bytes) -> bool:
    digest = hashlib.sha256(content).hexdigest()
    return isinstance(value, str) and hmac.compare_digest(
        value.lower().encode(errors="replace"), digest.encode()
    )


def _read_ms(claims: Mapping[str, Any], name: str) -> int | None:
    """Return the time in a claim, Unix ms; None when it is none."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LATEST_S:
        return None
    return int(value * 1000)
