"""What every source does: it verifies a provider's request, and parses it into messages. Pure.

A source trusts nothing that it has not verified, and drops nothing in silence. A part that it does not understand comes
back as `unparsed`, and goes to quarantine. Delivery statuses, our own messages and the like are counted by their kind.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Literal

import msgspec

from rfctl.errors import RfctlError
from rfctl.model.company import Company
from rfctl.model.message import OWN_TYPE, Message, Renaming, Unparsed
from rfctl.sources.inline_files import strip_inline_files

if TYPE_CHECKING:
    from rfctl.section import Example
    from rfctl.sources.config import SourceConfig
    from rfctl.sources.tenants import Tenants

    SourceModel = type[SourceConfig]

DAY_S = 86_400
MEDIA_BODY_BYTES = 33_554_432
"""Largest body of a provider that puts media into its requests."""
CLOCK_DOUBT = "is this host's clock wrong?"
"""The end of what is wrong with a proof, where it is its time alone."""
_GUARD = "rfctl.sources.guarded:guard_source"
_WRITE_SAMPLE = "rfctl.sources.stand_ins:write_sample"
_SMALLEST_FILE = 65_536
"""Bytes of a file inside JSON that is left out. Smaller ones, such as keys and thumbnails, cost little."""


class Request(msgspec.Struct, frozen=True):
    """One HTTP request as it came. `path` and `query` are raw; header names are lower-case; `body` is the bytes."""

    method: str
    path: str
    query: str
    headers: Mapping[str, bytes]
    body: bytes

    def header(self, name: str) -> bytes:
        """Return a header's bytes, or b"" when it was not sent."""
        return self.headers.get(name, b"").strip()


class Reply(msgspec.Struct, frozen=True):
    """The body of an answer of 200, where the provider wants words."""

    body: bytes
    content_type: str = "text/plain; charset=utf-8"


class ParseResult(msgspec.Struct, frozen=True):
    """What one request contains, in its order; `skipped` counts by kind what is no message of a person.

    A request with a `reply` is a handshake: it has no messages. `renamings` are senders who have another second id from now
    on. They come before the messages, and wake nobody. Words of our own side may be among the messages, where the
    settings ask for them.
    """

    messages: list[Message] = []
    unparsed: list[Unparsed] = []
    skipped: dict[str, int] = {}
    reply: Reply | None = None
    renamings: list[Renaming] = []

    def skip(self, kind: str, count: int = 1) -> None:
        """Count one thing, or several, that is no message of a person."""
        self.skipped[kind] = self.skipped.get(kind, 0) + count

    def add_own(self, message: Message) -> None:
        """Count what somebody on our side wrote by hand, and add it. Its phone and chat are those of the person."""
        self.skip("own")
        self.messages.append(msgspec.structs.replace(message, type=OWN_TYPE))


class Common(msgspec.Struct, frozen=True):
    """What the messages of a source have in common. `id_scope` is the name under which its ids are remembered."""

    channel: str
    company: Company
    id_scope: str
    max_text_bytes: int


class UnparsedError(RfctlError):
    """A verified request, or a part of it, that cannot be parsed. It goes to quarantine, and the answer is 200."""


class Source(ABC):
    """One source of messages. It is built with its name, its config and the longest text in bytes."""

    _max_text_bytes: int = 65_536
    proof_headers: tuple[str, ...] = ()
    """The headers of which one has the proof, in lower case."""
    signed_origin: str = ""
    """Scheme and host of the address that is a part of the signature, "" where none is."""

    def verify(self, request: Request, now_ms: int) -> bool:  # noqa: ARG002 - not every proof has a time
        """Say whether any of the secrets verifies this request, in constant time; `now_ms` is Unix ms.

        A source without a way of its own has the one of its setting `auth`, and never comes here.
        """
        return False

    def explain_rejection(self, request: Request, now_ms: int) -> str:  # noqa: ARG002 - not every proof has a time
        """Return which part of the proof of a rejected request failed, in words for the log, and without its values."""
        names = " or ".join(name.title() for name in self.proof_headers)
        if names and not any(request.header(name) for name in self.proof_headers):
            return f"it does not have the header {names}"
        address = f", over the address {self.signed_origin}{request.path}" if self.signed_origin else ""
        return (f"no secret goes with the header {names}" if names else "no secret goes with it") + address

    def open_body(self, request: Request) -> bytes:
        """Return the body of a verified request as `parse` takes it."""
        return request.body

    @abstractmethod
    def parse(self, body: bytes) -> ParseResult:
        """Parse a verified body. Raises UnparsedError when no part of it can be parsed."""

    def handshake(self, request: Request) -> str | None:  # noqa: ARG002 - most providers ask nothing first
        """Return the plain text that answers a handshake, a GET; None rejects it."""
        return None

    def narrow(self, body: bytes, account: str) -> bytes:  # noqa: ARG002 - most requests are for one account
        """Return a body with only what is for this account; the same object where this source cannot part it."""
        return body

    def redact(self, body: bytes) -> bytes:
        """Return the body without secrets of the provider, and without large files. `parse` reads it as the whole one."""
        if len(body) <= _SMALLEST_FILE:
            return body
        return strip_inline_files(body, max(self._max_text_bytes, _SMALLEST_FILE))


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """One type of source: its settings model, and where its class is, as `module:name`.

    `stand_in` is where that of its provider is, which writes requests for `rfctl simulate --as`.
    `dedupe_s` is how long the provider may send a message again; None leaves that to batching.dedupe_s.
    `accepts` are the content types that the provider sends besides JSON. `max_body_bytes` is for providers that put media
    into their requests: such a body may be larger than http.max_body_bytes.
    """

    type: str
    config: SourceModel
    build: str
    stand_in: str
    examples: tuple[Example, ...]
    dedupe_s: int | None = 2 * DAY_S
    accepts: tuple[str, ...] = ()
    max_body_bytes: int = 0

    def build_source(self, name: str, config: SourceConfig, max_text_bytes: int) -> Source:
        """Return a source of this type, behind what `auth` says. Its module is imported only now: most commands need none."""
        source: Source = resolve_name(self.build)(name, config, max_text_bytes)
        guarded: Source = resolve_name(_GUARD)(name, config, source)
        return guarded

    def write_sample(self, name: str, config: SourceConfig, body: bytes) -> Sample | None:
        """Return a request of a source of this type for a document: `rfctl.sources.stand_ins` says more."""
        sample: Sample | None = resolve_name(_WRITE_SAMPLE)(self, name, config, body)
        return sample


class Sample(msgspec.Struct, frozen=True):
    """A request as the provider of a source sends it, by a secret that is made up; "" where the source has none.

    `url` is the address that it goes to, without scheme and host where the settings do not say them. `at_ms` is when it was
    signed, Unix ms.
    """

    request: Request
    url: str
    secret: str
    at_ms: int


def _write_no_sample(body: bytes) -> Sample | None:  # noqa: ARG001 - it stands in for one that takes it
    return None


ProofParts = tuple[tuple[Literal["header", "query", "body", "basic", "bearer"], str], ...]
"""The parts of one proof, which go together, such as a signature and its time: each is a kind and a name."""


@dataclass(frozen=True, slots=True)
class ServedSource:
    """One source as the webhook serves it.

    `verified` is false when it has no secret: then it is served to this machine alone, unless `insecure`.
    `in_words` is true when an answer says what became of every message, or what is wrong. `json_only` rejects the
    content types that a browser sends from any web page to this machine without asking: forms and plain text.
    `handshake_hint` is what to look at when a handshake was rejected, "" where the provider asks for none.
    `max_body_bytes` is the largest body where that is more than http.max_body_bytes, else 0. `opens_bodies` is true when
    the source has to see the head of a request before it can parse its body. `answer` is the body of an answer of 200.
    `has_own_proof` is false where `auth` says how requests prove themselves. `tenants` are the companies behind its
    accounts, None where they do not depend on them. `proofs` are the ways in which a request may prove itself.
    `write_sample` returns a request with this body, or for b"" with one of the provider's; None where none can be written.
    """

    name: str
    type: str
    source: Source
    verified: bool = True
    insecure: bool = False
    in_words: bool = False
    json_only: bool = False
    handshake_hint: str = ""
    max_body_bytes: int = 0
    opens_bodies: bool = False
    answer: str = ""
    has_own_proof: bool = True
    tenants: Tenants | None = None
    proofs: tuple[ProofParts, ...] = ()
    write_sample: Callable[[bytes], Sample | None] = _write_no_sample
