"""Stand-ins for providers: they write requests in a provider's shape, with its proof, for `rfctl simulate --as`. Pure.

A stand-in knows the settings of a source, so its requests pass the source's own verification. Each provider has one
beside its source, named by its spec.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pkgutil import resolve_name
from typing import TYPE_CHECKING, ClassVar

import msgspec
from msgspec import structs

from rfctl.sources.auth.signer import sign_request
from rfctl.sources.contract import Request, Sample, SourceSpec

if TYPE_CHECKING:
    from rfctl.sources.config import SourceConfig

ACCOUNT = "100200300"
"""The account that a request names where the settings know none: digits alone, which every provider could have."""


class Script(msgspec.Struct, frozen=True):
    """What a request is to say: one text of one phone, sent at a time (Unix ms).

    `id` is unlike that of any other message. `number` says the same for providers that count.
    """

    phone: str
    text: str
    id: str
    number: int
    at_ms: int

    @property
    def at_s(self) -> int:
        """When it was sent, Unix s."""
        return self.at_ms // 1000


_SAMPLE = Script("79001234567", "Hello", "m1", 1, 1_790_000_000_000)
_MADE_UP = (
    "a-secret-of-yours",
    "user:a-password",
    "whsec_YS1zZWNyZXQtb2YteW91cnMtYWxvbmU=",
    "0123456789abcdef",
)
"""As a text, for basic, in base64, and in hex."""


class StandIn(ABC):
    """Writes requests for one source. Raises ValueError, with the reason, for what its provider could not say."""

    content_type: ClassVar[str] = "application/json"

    def __init__(self, config: SourceConfig) -> None:
        self._config = config
        self._account = next(iter(config.companies), ACCOUNT)

    @abstractmethod
    def build_body(self, script: Script) -> bytes:
        """Return the body of the request that has this message."""

    def prove(self, request: Request, secret: str, now_ms: int) -> Mapping[str, str]:  # noqa: ARG002 - some have no proof
        """Return the headers by which the provider proves the request in its own way. `now_ms` is Unix ms."""
        return {}


def build_stand_in(spec: SourceSpec, config: SourceConfig) -> StandIn:
    """Return the stand-in of a source. Its module is imported only now."""
    stand_in: StandIn = resolve_name(spec.stand_in)(config)
    return stand_in


def write_request(name: str, config: SourceConfig, stand_in: StandIn, script: Script, now_ms: int) -> Request:
    """Return a request as its provider would send it to this source, with its proof if the source has secrets.

    Its path is the one that the provider calls. Raises ValueError with the reason where no such request can be.
    """
    return _write_body(name, config, stand_in, stand_in.build_body(script), script.id, now_ms)


def write_sample(spec: SourceSpec, name: str, config: SourceConfig, body: bytes) -> Sample | None:
    """Return a request for a document, with this body or, for b"", one of the provider's. Nothing in it is a secret of the settings.

    Returns None where no request can be written: a map without an id, or a proof that would have to sign itself.
    """
    secret = _make_up_secret(config) if config.secrets else ""
    config = config.model_copy(update={"secrets": [secret] if secret else [], "companies": {}})
    stand_in = build_stand_in(spec, config)
    try:
        body = body or stand_in.build_body(_SAMPLE)
        request = _write_body(name, config, stand_in, body, _SAMPLE.id, _SAMPLE.at_ms)
    except ValueError:
        return None
    return Sample(request, config.public_url.rstrip("/") + request.path, secret, _SAMPLE.at_ms)


def _make_up_secret(config: SourceConfig) -> str:
    """Return the first of the made-up secrets that is written as this source's have to be."""
    auth = config.find_auth()
    return next(secret for secret in _MADE_UP if auth is None or not any(auth.find_secret_faults([secret])))


def _write_body(
    name: str, config: SourceConfig, stand_in: StandIn, body: bytes, message_id: str, now_ms: int
) -> Request:
    path = config.public_path.rstrip("/") or f"/webhook/{name}"
    headers = {"content-type": stand_in.content_type.encode()}
    request = Request("POST", path, "", headers, body)
    if not config.secrets:
        return request
    secret, auth = config.secrets[0], config.find_auth()
    if auth is not None:
        origin = config.public_url.rstrip("/")
        return sign_request(auth, secret, request, now_ms=now_ms, origin=origin, message_id=message_id)
    proof = {key.lower(): value.encode() for key, value in stand_in.prove(request, secret, now_ms).items()}
    return structs.replace(request, headers={**headers, **proof})
