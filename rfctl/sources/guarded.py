"""A source behind a door: what proves its requests, and what they are answered, apart from how they are read. Pure.

The settings `auth`, `public_path` and those of `answers` are for any source, so none of it is in a provider's own module.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import structs

from rfctl.sources.answers import Answers
from rfctl.sources.auth.config import TokenAuth
from rfctl.sources.auth.places import Place, blank_value
from rfctl.sources.auth.proofs import Proof, build_proof
from rfctl.sources.contract import ParseResult, Request, Source
from rfctl.sources.form_bodies import convert_form, is_form

if TYPE_CHECKING:
    from rfctl.sources.config import SourceConfig


class Guarded(Source):
    """Another source, whose requests prove themselves by `proof`, or without one in the other source's own way.

    `secret_place` is where a body has the secret itself, and `redacted` are paths of others: they are blanked before anything
    of the body is kept.
    `paths` are how requests come here, and how their senders call that.
    """

    def __init__(
        self,
        inner: Source,
        proof: Proof | None = None,
        *,
        answers: Answers | None = None,
        secret_place: Place | None = None,
        redacted: Sequence[str] = (),
        paths: tuple[str, str] | None = None,
    ) -> None:
        self.inner = inner
        self.proof_headers = inner.proof_headers
        self._proof = proof
        self._answers = answers
        proof_steps = [secret_place.steps] if secret_place and secret_place.kind == "body" else []
        self._secret_steps = [*proof_steps, *(tuple(path.split(".")) for path in redacted)]
        self._paths = paths

    def verify(self, request: Request, now_ms: int) -> bool:
        """Say whether any of the secrets verifies this request, in constant time; `now_ms` is Unix ms."""
        request = self._readdress(request)
        if self._proof is None:
            return self.inner.verify(request, now_ms)
        return not self._proof.find_fault(request, now_ms)

    def explain_rejection(self, request: Request, now_ms: int) -> str:
        """Return which part of the proof failed, in words for the log."""
        request = self._readdress(request)
        if self._proof is None:
            return self.inner.explain_rejection(request, now_ms)
        return self._proof.find_fault(request, now_ms)

    def _readdress(self, request: Request) -> Request:
        """Return the request under the path that its sender called, before a proxy cut it."""
        if self._paths is None:
            return request
        own, public = self._paths
        rest = request.path.removeprefix(own)
        if rest == request.path or (rest and not rest.startswith("/")):
            return request
        return structs.replace(request, path=public + rest)

    def open_body(self, request: Request) -> bytes:
        """Return the body as `parse` takes it: a form as JSON."""
        content_type = request.header("content-type")
        if is_form(content_type, request.body):
            return convert_form(content_type, request.body)
        return self.inner.open_body(request)

    def parse(self, body: bytes) -> ParseResult:
        """Parse a verified body, unless it is a handshake, which has an answer of its own. Raises UnparsedError."""
        body = self._blank_secrets(body)
        reply = None if self._answers is None else self._answers.find_reply(body)
        if reply is not None:
            return ParseResult(skipped={"event": 1}, reply=reply)
        return self.inner.parse(body)

    def redact(self, body: bytes) -> bytes:
        """Return the body without secrets, as the other source does, and without one that proves the request."""
        return self.inner.redact(self._blank_secrets(body))

    def _blank_secrets(self, body: bytes) -> bytes:
        for steps in self._secret_steps:
            body = blank_value(body, steps)
        return body

    def handshake(self, request: Request) -> str | None:
        """Return the plain text that answers a handshake, a GET; None rejects it."""
        own = self.inner.handshake(request)
        return own if own is not None or self._answers is None else self._answers.find_challenge(request)


def guard_source(name: str, config: SourceConfig, source: Source) -> Source:
    """Return a source behind what its settings say about proofs, paths and answers; itself where they say nothing."""
    auth, answers, redacted = config.find_auth(), config.find_answers(), config.redacted_paths
    if auth is None and answers is None and not (config.public_path or redacted):
        return source
    return Guarded(
        source,
        None if auth is None else build_proof(auth, config.secrets, config.public_url.rstrip("/")),
        answers=answers,
        secret_place=auth.place if isinstance(auth, TokenAuth) else None,
        redacted=redacted,
        paths=(f"/webhook/{name}", config.public_path.rstrip("/")) if config.public_path else None,
    )
