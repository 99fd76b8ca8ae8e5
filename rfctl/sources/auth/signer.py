"""Signs requests as their senders do: the other side of `proofs`. Pure."""

from __future__ import annotations

import base64
import hashlib
import warnings
from collections.abc import Callable
from typing import Any, assert_never
from urllib.parse import quote

import jwt
import msgspec
from msgspec import structs

from rfctl.sources.auth.config import Auth, BasicAuth, HmacAuth, JwtAuth, TokenAuth
from rfctl.sources.auth.places import Place
from rfctl.sources.auth.secrets import decode_secrets
from rfctl.sources.auth.template import Signable
from rfctl.sources.contract import Request
from rfctl.sources.signing import Keys

_EXPIRES_S = 60
_AUTHORIZATION = "authorization"


def sign_request(
    auth: Auth, secret: str, request: Request, *, now_ms: int, origin: str = "", message_id: str = ""
) -> Request:
    """Return the request with its proof by this secret. `origin` is scheme and host of the address that is called.

    `message_id` stands in signed headers that have nothing else to say. Raises ValueError, with the reason, where the proof
    would have to sign itself.
    """
    match auth:
        case TokenAuth():
            is_bearer = auth.place.kind == "header" and auth.place.name.lower() == _AUTHORIZATION
            return _put(request, auth.place, f"Bearer {secret}" if is_bearer else secret)
        case BasicAuth():
            return _put(request, auth.place, f"Basic {base64.b64encode(secret.encode()).decode()}")
        case HmacAuth():
            return _sign_hmac(auth, secret, request, str(now_ms // 1000), origin, message_id)
        case JwtAuth():
            return _sign_jwt(auth, secret, request, now_ms // 1000, origin)
        case _:
            assert_never(auth)


def _sign_hmac(
    auth: HmacAuth, secret: str, request: Request, timestamp: str, origin: str, message_id: str
) -> Request:
    place, template = auth.place, auth.template
    if place.kind == "body":
        raise ValueError("its signature stands in the body that it signs")
    for name in template.pieces[1::2]:
        kind, colon, header = name.partition(":")
        if colon and kind == "header" and not request.header(header.lower()):
            request = _put(request, Place("header", header), message_id)
    stamp = auth.timestamp
    if stamp is not None and stamp != place:
        request = _put(request, stamp, auth.timestamp_prefix + timestamp)
    signable = Signable(request, timestamp.encode(), origin)
    [digest] = Keys(decode_secrets([secret], auth.secret_encoding), auth.algorithm).sign(
        template.compile()(signable)
    )
    is_base64 = auth.secret_encoding == "base64"  # noqa: S105 - who writes keys so, writes signatures so
    text = auth.prefix + (base64.b64encode(digest).decode() if is_base64 else digest.hex())
    return _put(request, place, f"{auth.timestamp_prefix}{timestamp},{text}" if stamp == place else text)


def _sign_jwt(auth: JwtAuth, secret: str, request: Request, now_s: int, origin: str) -> Request:
    claims: dict[str, Any] = {"iat": now_s, "nbf": now_s, "exp": now_s + _EXPIRES_S, **auth.claims}
    if auth.payload_hash:
        if auth.place.kind == "body":
            raise ValueError("its token stands in the body that it signs")
        claims[auth.payload_hash] = hashlib.sha256(request.body).hexdigest()
    if auth.url_hash:
        claims[auth.url_hash] = hashlib.sha256(Signable(request, origin=origin).url.encode()).hexdigest()
    [key] = decode_secrets([secret], auth.secret_encoding)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the provider chooses how long its secrets are
        token = jwt.PyJWS().encode(msgspec.json.encode(claims), key, algorithm=auth.algorithm)
    return _put(request, auth.place, f"Bearer {token}" if auth.place.kind == "header" else token)


def _put(request: Request, place: Place, value: str) -> Request:
    put: Callable[[Request, Place, str], Request] = {
        "header": _put_header,
        "query": _put_query,
        "body": _put_in_body,
    }[place.kind]
    return put(request, place, value)


def _put_header(request: Request, place: Place, value: str) -> Request:
    return structs.replace(request, headers={**request.headers, place.name.lower(): value.encode()})


def _put_query(request: Request, place: Place, value: str) -> Request:
    parameter = f"{quote(place.name)}={quote(value, safe='')}"
    return structs.replace(request, query="&".join(filter(None, (request.query, parameter))))


def _put_in_body(request: Request, place: Place, value: str) -> Request:
    top: dict[str, Any] = msgspec.json.decode(request.body)
    inner = top
    *outer, last = place.steps
    for step in outer:
        inner = inner.setdefault(step, {})
    inner[last] = value
    return structs.replace(request, body=msgspec.json.encode(top))
