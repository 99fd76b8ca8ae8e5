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
from rfctl.ingest.access import is_local
from rfctl.ingest.group_commit import GroupCommit
from rfctl.ingest.reader import Reader, find_rejection
from rfctl.ingest.responses import make_json_response
from rfctl.model.message import Message, Unparsed
from rfctl.model.stored import Added
from rfctl.sources.contract import Request, ServedSource
from rfctl.sources.registry import GENERIC
from rfctl.store.counters import Counters
from rfctl.store.quarantine import Quarantine

_log = structlog.get_logger("ingest")
_HOW_TO_SIGN = (
    "X-Signature does not match: HMAC-SHA256 hex over METHOD:path:timestamp:body, with X-Timestamp in ms not older than "
    "5 minutes"
)


def read_wall_clock_ms() -> int:
    """Return this host's time, Unix ms. Only the age of a signature is measured by it."""
    return time.time_ns() // 1_000_000


class Receiver:
    """Receives requests for the `sources`, by name. `on_due` is called with the ms until a message's batch is due."""

    def __init__(
        self,
        sources: Mapping[str, ServedSource],
        group_commit: GroupCommit,
        quarantine: Quarantine,
        counters: Counters,
        *,
        placeholder: str = "[{type}]",
        max_body_bytes: int = 3_145_728,
        on_due: Callable[[int], None] = lambda _due_in_ms: None,
        now_ms: Callable[[], int] = read_wall_clock_ms,
    ) -> None:
        self.sources = sources
        self.group_commit = group_commit
        self._counters = counters
        self._reader = Reader(group_commit.add, quarantine, placeholder)
        self._max_body_bytes = max_body_bytes
        self._on_due = on_due
        self._now_ms = now_ms

    def reconfigure(self, sources: Mapping[str, ServedSource], placeholder: str) -> None:
        """Serve other sources, and use another placeholder, from now on."""
        self.sources = sources
        self._reader.reconfigure(placeholder)

    async def receive(self, name: str, http: HttpRequest) -> Response:
        """Receive one request. Every message of it is stored before the answer. Raises RfctlError."""
        served = self._find_source(name)
        request = _build_request(http, await read_body(http, self._max_body_bytes))
        self._check_sender(served, request, http)
        parsed = self._reader.parse(served, request.body)
        results = await self._store(parsed.messages)
        if (
            parsed.unparsed
        ):  # last: if the messages fail, all of it comes again, and would be quarantined twice
            await self._quarantine(served, parsed.unparsed)
        self._counters.add({f"skipped:{kind}": count for kind, count in parsed.skipped.items()})
        return make_json_response(_build_receipt(results)) if served.in_words else Response()

    async def handshake(self, name: str, http: HttpRequest) -> Response:
        """Answer a provider's handshake, a GET. Raises BadRequestError."""
        served = self._find_source(name)
        if not served.handshake_hint:
            raise BadRequestError(f"source {name} takes requests by POST, and answers no GET", status=403)
        answer = served.source.handshake(_build_request(http, b""))
        if answer is None:
            _log.warning("handshake_rejected", source=name, next=served.handshake_hint)
            return Response(status_code=403)
        return Response(answer, media_type="text/plain")

    def _find_source(self, name: str) -> ServedSource:
        served = self.sources.get(name)
        if served is None:
            hint = ": add [sources.generic]" if name == GENERIC else ""
            raise BadRequestError(f"there is no source {name}{hint}", status=404)
        return served

    def _check_sender(self, served: ServedSource, request: Request, http: HttpRequest) -> None:
        if not served.verified:
            _check_unverified_sender(served, request, http)
        elif not served.source.verify(request, self._now_ms()):
            self._counters.add({f"rejected:{served.name}": 1})
            _log.warning(
                "signature_rejected", source=served.name,
                next=f"a stranger; or is sources.{served.name}.secrets what the provider signs with?",
            )  # fmt: skip
            raise SignatureRejectedError(served)

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


class SignatureRejectedError(BadRequestError):
    """A request that does not prove its sender: 401, and no reason for a provider's request."""

    def __init__(self, served: ServedSource) -> None:
        fact = f"source {served.name}: the signature or token does not match"
        super().__init__(_HOW_TO_SIGN if served.in_words else fact, status=401)
        self.in_words = served.in_words


def _check_unverified_sender(served: ServedSource, request: Request, http: HttpRequest) -> None:
    hint = f"set sources.{served.name}.secrets"
    if not served.insecure and not is_local(http):
        raise BadRequestError(
            f"source {served.name} has no secret and is served to this machine only: {hint}", status=401
        )
    if served.json_only and not _is_json(request.header("content-type")):
        raise BadRequestError(
            f"source {served.name} has no secret and takes JSON alone: send Content-Type: application/json, or {hint}",
            status=415,
        )


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


async def read_body(http: HttpRequest, max_bytes: int) -> bytes:
    """Read the body. Raises BadRequestError as soon as it is, or is to be, larger than `max_bytes`."""
    content_length = http.headers.get("content-length", "0")
    too_large = BadRequestError(
        f"the body is larger than {max_bytes} bytes (http.max_body_bytes)", status=413
    )
    if content_length.isdigit() and int(content_length) > max_bytes:
        raise too_large
    body = bytearray()
    async for chunk in http.stream():
        body += chunk
        if len(body) > max_bytes:
            raise too_large
    return bytes(body)


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
