"""The way in: a provider's request is verified, read, stored and only then answered.

The raw bytes are verified before anything is parsed. What is authentic and not understood is kept in the
quarantine and answered 200: the provider would send it again for days. Redis trouble is 503: send it again.
The body of an answer is empty, since a provider may execute it (Telegram does); only a generic source, whose
caller is the operator's own code, is answered in words.
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
from rfctl.ingest.reader import Reader, rejection
from rfctl.ingest.responses import json_response
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


def wall_clock_ms() -> int:
    """Return this host's time, Unix ms: only the age of a signature goes by it."""
    return time.time_ns() // 1_000_000


class Receiver:
    """Takes requests in. `sources` are served by name; `expect` hears in how many ms a batch is due."""

    def __init__(
        self,
        sources: Mapping[str, ServedSource],
        group_commit: GroupCommit,
        quarantine: Quarantine,
        counters: Counters,
        *,
        placeholder: str = "[{type}]",
        max_body_bytes: int = 3_145_728,
        expect: Callable[[int], None] = lambda _due_in_ms: None,
        now_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self.sources = sources
        self.group_commit = group_commit
        self._counters = counters
        self._reader = Reader(group_commit.add, quarantine, placeholder)
        self._max_body_bytes = max_body_bytes
        self._expect = expect
        self._now_ms = now_ms

    def reconfigure(self, sources: Mapping[str, ServedSource], placeholder: str) -> None:
        """Go on with other sources."""
        self.sources = sources
        self._reader.placeholder = placeholder

    async def receive(self, name: str, http: HttpRequest) -> Response:
        """Take one request in; every message of it is stored before the answer."""
        served = self._source(name)
        request = _request(http, await read_body(http, self._max_body_bytes))
        self._admit(served, request, http)
        parsed = self._reader.read(served, request.body)
        results = await self._store(parsed.messages)
        if parsed.unparsed:  # last: were the rest not stored, all would come again, and this be kept twice
            await self._quarantine(served, parsed.unparsed)
        self._counters.add({f"skipped:{kind}": count for kind, count in parsed.skipped.items()})
        return json_response(_receipt(results)) if served.in_words else Response()

    async def handshake(self, name: str, http: HttpRequest) -> Response:
        """Answer a provider's handshake, a GET."""
        served = self._source(name)
        if not served.handshake_hint:
            raise BadRequestError(f"source {name} takes requests by POST, and answers no GET", status=403)
        answer = served.source.handshake(_request(http, b""))
        if answer is None:
            _log.warning("handshake_rejected", source=name, next=served.handshake_hint)
            return Response(status_code=403)
        return Response(answer, media_type="text/plain")

    def _source(self, name: str) -> ServedSource:
        served = self.sources.get(name)
        if served is None:
            cure = ": add [sources.generic]" if name == GENERIC else ""
            raise BadRequestError(f"there is no source {name}{cure}", status=404)
        return served

    def _admit(self, served: ServedSource, request: Request, http: HttpRequest) -> None:
        if not served.verified:
            _admit_unverified(served, request, http)
        elif not served.source.verify(request, self._now_ms()):
            self._counters.add({f"rejected:{served.name}": 1})
            _log.warning(
                "signature_rejected", source=served.name,
                next=f"a stranger; or is sources.{served.name}.secrets what the provider signs with?",
            )  # fmt: skip
            raise NotGenuineError(served)

    async def _quarantine(self, served: ServedSource, unparsed: list[Unparsed]) -> None:
        await self._reader.quarantine(served, unparsed)
        self._counters.add({"quarantined": len(unparsed)})
        for part in unparsed:
            _log.warning(
                "request_quarantined", source=served.name, why=part.why, next="rfctl quarantine list"
            )

    async def _store(self, messages: list[Message]) -> list[Added]:
        results = await self._reader.store(messages)
        if rejected := rejection(results):
            raise KeyTakenError(rejected)
        for result in results:
            self._expect(result.due_in_ms)
        return results


class NotGenuineError(BadRequestError):
    """A request that nothing proves to be the provider's: 401, and to a provider no word of why."""

    def __init__(self, served: ServedSource) -> None:
        fact = f"source {served.name}: the signature or token does not match"
        super().__init__(_HOW_TO_SIGN if served.in_words else fact, status=401)
        self.in_words = served.in_words


def _admit_unverified(served: ServedSource, request: Request, http: HttpRequest) -> None:
    cure = f"set sources.{served.name}.secrets"
    if not served.insecure and not is_local(http):
        raise BadRequestError(
            f"source {served.name} has no secret and is served to this machine only: {cure}", status=401
        )
    if served.json_only and not _is_json(request.header("content-type")):
        raise BadRequestError(
            f"source {served.name} has no secret and takes JSON alone: send Content-Type: application/json, or {cure}",
            status=415,
        )


def _is_json(content_type: bytes) -> bool:
    kind = content_type.partition(b";")[0].strip().lower()
    return kind == b"application/json" or (kind.startswith(b"application/") and kind.endswith(b"+json"))


def _request(http: HttpRequest, body: bytes) -> Request:
    return Request(
        method=http.method,
        path=http.scope["raw_path"].decode("latin-1"),
        query=http.scope["query_string"].decode("latin-1"),
        headers={name.decode("latin-1"): value for name, value in http.headers.raw},
        body=body,
    )


async def read_body(http: HttpRequest, most: int) -> bytes:
    """Read the body; one that is announced or grows too large is not read on."""
    announced = http.headers.get("content-length", "0")
    too_large = BadRequestError(f"the body is larger than {most} bytes (http.max_body_bytes)", status=413)
    if announced.isdigit() and int(announced) > most:
        raise too_large
    body = bytearray()
    async for chunk in http.stream():
        body += chunk
        if len(body) > most:
            raise too_large
    return bytes(body)


def _receipt(results: list[Added]) -> dict[str, object]:
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
