"""The receiver: a provider's request is verified, parsed, stored and only then answered.

The raw bytes are verified before anything is parsed. The unparsed part of an authentic request goes to quarantine, and
the answer is 200: else the provider would send it again for days. If Redis fails, the answer is 503: send it again.
The body of an answer is empty, since a provider may execute it (Telegram does). Only a generic source is answered in
words: its caller is the operator's own code.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import structlog
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from rfctl.errors import BadRequestError, KeyTakenError
from rfctl.ingest.access import Gate
from rfctl.ingest.bodies import BodyBudget, HeldBody
from rfctl.ingest.group_commit import GroupCommit
from rfctl.ingest.reader import Reader, find_rejection
from rfctl.ingest.rejections import RejectedError, Rejections
from rfctl.ingest.responses import make_json_response
from rfctl.model.message import Message, Unparsed
from rfctl.model.stored import Added
from rfctl.sources.contract import ParseResult, Request, ServedSource
from rfctl.sources.registry import GENERIC
from rfctl.store.counters import Counters
from rfctl.store.quarantine import Quarantine

_log = structlog.get_logger("ingest")
_HOW_TO_SIGN = (
    "X-Signature does not match: HMAC-SHA256 hex over METHOD:path:timestamp:body, with X-Timestamp in ms not older than "
    "5 minutes"
)

_MAX_MESSAGES = 10_000
_MAX_PARTS = 100_000
"""Objects and arrays of a body. In memory each takes a hundred times the bytes that it may have in JSON."""
_FEW_BYTES = 65_536


def read_wall_clock_ms() -> int:
    """Return this host's time, Unix ms. Only the age of a signature is measured by it."""
    return time.time_ns() // 1_000_000


class Receiver:
    """Receives requests for the `sources`, by name. `on_due` is called with the ms until a message's batch is due.

    `max_body_bytes` bounds a body, and `max_inflight_bytes` all bodies in hand. `gate` knows this machine.
    """

    def __init__(
        self,
        sources: Mapping[str, ServedSource],
        group_commit: GroupCommit,
        quarantine: Quarantine,
        counters: Counters,
        *,
        placeholder: str = "[{type}]",
        max_body_bytes: int = 3_145_728,
        max_inflight_bytes: int = 41_943_040,
        gate: Gate | None = None,
        on_due: Callable[[int], None] = lambda _due_in_ms: None,
        now_ms: Callable[[], int] = read_wall_clock_ms,
    ) -> None:
        self.sources = sources
        self.group_commit = group_commit
        self._counters = counters
        self._reader = Reader(group_commit.add, quarantine, placeholder)
        self.rejections = Rejections(counters)
        self.gate = gate or Gate()
        self._max_body_bytes = max_body_bytes
        self._budget = BodyBudget(max_inflight_bytes)
        self._on_due = on_due
        self._now_ms = now_ms

    def reconfigure(self, sources: Mapping[str, ServedSource], placeholder: str) -> None:
        """Serve other sources, and use another placeholder, from now on."""
        self.sources = sources
        self._reader.reconfigure(placeholder)

    async def receive(self, name: str, http: HttpRequest) -> Response:
        """Receive one request. Every message of it is stored before the answer. Raises RfctlError."""
        served = self._find_source(name)
        if not served.verified:
            self._check_unverified_sender(served, http)
        max_bytes = max(served.max_body_bytes, self._max_body_bytes)
        with HeldBody(http, self._budget, max_bytes, served.name) as held:
            response = await self._receive_body(served, _build_request(http, await held.read()))
        self.rejections.tally.count_accepted(served.name)
        return response

    async def _receive_body(self, served: ServedSource, request: Request) -> Response:
        if served.verified and not served.source.verify(request, self._now_ms()):
            raise _signature_error(served)
        parsed = self._parse(served, request.body)
        del request  # while Redis is slow, many wait here: the body would be there twice
        results = await self._store(parsed.messages)
        if (
            parsed.unparsed
        ):  # last: if the messages fail, all of it comes again, and would be quarantined twice
            await self._quarantine(served, parsed.unparsed)
        self._counters.add({f"skipped:{kind}": count for kind, count in parsed.skipped.items()})
        return make_json_response(_build_receipt(results)) if served.in_words else Response()

    def _parse(self, served: ServedSource, body: bytes) -> ParseResult:
        _check_parts(served, body)
        try:
            parsed = self._reader.parse(served, body)
        except BadRequestError as problem:
            raise RejectedError(problem.fact, problem.status, "invalid-body", source=served.name) from None
        if len(parsed.messages) > _MAX_MESSAGES:
            fact = f"the body has more than {_MAX_MESSAGES} messages: send them in several requests"
            raise RejectedError(fact, 413, "body-too-large", source=served.name)
        return parsed

    async def handshake(self, name: str, http: HttpRequest) -> Response:
        """Answer a provider's handshake, a GET. Raises BadRequestError."""
        served = self._find_source(name)
        if not served.handshake_hint:
            fact = f"source {name} takes requests by POST, and answers no GET"
            raise RejectedError(fact, 403, "method", source=name)
        answer = served.source.handshake(_build_request(http, b""))
        if answer is None:
            self.rejections.record(
                "handshake",
                "the handshake names another verify token",
                source=name,
                next=served.handshake_hint,
            )
            return Response(status_code=403)
        return Response(answer, media_type="text/plain")

    def _find_source(self, name: str) -> ServedSource:
        served = self.sources.get(name)
        if served is None:
            hint = ": add [sources.generic]" if name == GENERIC else ""
            raise RejectedError(f"there is no source {name}{hint}", 404, "no-source")
        return served

    def _check_unverified_sender(self, served: ServedSource, http: HttpRequest) -> None:
        hint = f"set sources.{served.name}.secrets"
        if not served.insecure:
            self.gate.check_local(http, f"source {served.name} has no secret and", hint, source=served.name)
        if served.json_only and not _is_json(http.headers.get("content-type", "").encode("latin-1")):
            fact = (
                f"source {served.name} has no secret and takes JSON alone: send Content-Type: application/json, "
                f"or {hint}"
            )
            raise RejectedError(fact, 415, "content-type", source=served.name, next=hint)

    async def _quarantine(self, served: ServedSource, unparsed: list[Unparsed]) -> None:
        await self._reader.quarantine(served, unparsed)
        self._counters.add({"quarantined": len(unparsed)})
        for part in unparsed:
            _log.warning(
                "request_quarantined", source=served.name, why=part.why, next="rfctl quarantine list"
            )

    async def _store(self, messages: list[Message]) -> list[Added]:
        results = await self._reader.store(messages)
        if rejection := find_rejection(results):
            raise KeyTakenError(rejection)
        for result in results:
            self._on_due(result.due_in_ms)
        return results


class SignatureRejectedError(RejectedError):
    """A request that does not prove its sender: 401, and no reason for a provider's request."""

    in_words = False


def _signature_error(served: ServedSource) -> SignatureRejectedError:
    fact = _HOW_TO_SIGN if served.in_words else f"source {served.name}: the signature or token does not match"
    step = f"a stranger; or is sources.{served.name}.secrets what the provider signs with?"
    problem = SignatureRejectedError(fact, 401, "signature", source=served.name, next=step)
    problem.in_words = served.in_words
    return problem


def _check_parts(served: ServedSource, body: bytes) -> None:
    if len(body) > _FEW_BYTES and body.count(b"{") + body.count(b"[") > _MAX_PARTS:
        fact = f"the body has more than {_MAX_PARTS} objects and arrays"
        raise RejectedError(fact, 413, "body-too-large", source=served.name)


def _is_json(content_type: bytes) -> bool:
    media_type = content_type.partition(b";")[0].strip().lower()
    is_structured = media_type.startswith(b"application/") and media_type.endswith(b"+json")
    return media_type == b"application/json" or is_structured


def _build_request(http: HttpRequest, body: bytes) -> Request:
    return Request(
        method=http.method,
        path=http.scope["raw_path"].decode("latin-1"),
        query=http.scope["query_string"].decode("latin-1"),
        headers={name.decode("latin-1"): value for name, value in http.headers.raw},
        body=body,
    )


def _build_receipt(results: list[Added]) -> dict[str, object]:
    last = {result.phone: result for result in results}
    return {
        "success": True,
        "addedCount": sum(result.added for result in results),
        "duplicates": sum(not result.added for result in results),
        "batches": [
            {"phone": result.phone, "size": result.size, "dueInMs": result.due_in_ms}
            for result in last.values()
        ],
    }
