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
from rfctl.sources.contract import Request, SourceSpec

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
    path = config.public_path.rstrip("/") or f"/webhook/{name}"
    headers = {"content-type": stand_in.content_type.encode()}
    request = Request("POST", path, "", headers, stand_in.build_body(script))
    if not config.secrets:
        return request
    secret, auth = config.secrets[0], config.find_auth()
    if auth is not None:
        origin = config.public_url.rstrip("/")
        return sign_request(auth, secret, request, now_ms=now_ms, origin=origin, message_id=script.id)
    proof = {key.lower(): value.encode() for key, value in stand_in.prove(request, secret, now_ms).items()}
    return structs.replace(request, headers={**headers, **proof})
