"""The way in: a provider's request is verified, read, stored and only then answered.

The raw bytes are verified before anything is parsed. What is authentic and not understood is kept in the
quarantine and answered 200: the provider would send it again for days. Redis trouble is 503: send it again.
The body of an answer is empty, since a provider may execute it (Telegram does); only a generic source, whose
caller is the operator's own code, is answered in words.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from rfctl.errors import BadRequestError, KeyTakenError
from rfctl.ingest.access import is_local
from rfctl.ingest.group_commit import GroupCommit
from rfctl.ingest.responses import json_answer
from rfctl.model.message import Added, Message, Unparsed, with_placeholder
from rfctl.sources.contract import NotUnderstoodError, ParseResult, Request, ServedSource
from rfctl.sources.registry import GENERIC
from rfctl.store.counters import Counters
from rfctl.store.quarantine import Quarantine

_log = structlog.get_logger("webhook")
_HOW_TO_SIGN = (
    "X-Signature does not match: HMAC-SHA256 hex over METHOD:path:timestamp:body, with X-Timestamp in ms not older than "
    "5 minutes"
)


def wall_clock_ms() -> int:
    """Return this host's time, Unix ms: only the age of a signature goes by it."""
    return time.time_ns() // 1_000_000


@dataclass(slots=True)
class Receiver:
    """Takes requests in. `entrances` is replaced as a whole when the settings are read anew."""

    entrances: Mapping[str, ServedSource]
    intake: GroupCommit
    quarantine: Quarantine
    placeholder: str = "[{type}]"
    max_body_bytes: int = 3_145_728
    tally: Counters = field(default_factory=Counters)
    expect: Callable[[int], None] = lambda _due_in_ms: None
    now_ms: Callable[[], int] = wall_clock_ms

    async def receive(self, name: str, http: HttpRequest) -> Response:
        """Take one request in; every message of it is stored before the answer."""
        entrance = self._entrance(name)
        request = _request(http, await body_of(http, self.max_body_bytes))
        self._admit(entrance, request, http)
        reading = _read(entrance, request.body)
        results = await self._store(reading.messages)
        if reading.unparsed:  # last: were the rest not stored, all would come again, and this be kept twice
            await self._keep(entrance, reading.unparsed)
        self.tally.add({f"skipped:{kind}": count for kind, count in reading.skipped.items()})
        return json_answer(_receipt(results)) if entrance.in_words else Response()

    async def handshake(self, name: str, http: HttpRequest) -> Response:
        """Answer a provider's handshake, a GET."""
        entrance = self._entrance(name)
        if not entrance.handshake_hint:
            raise BadRequestError(f"source {name} takes requests by POST, and answers no GET", status=403)
        answer = entrance.source.handshake(_request(http, b""))
        if answer is None:
            _log.warning("handshake_refused", source=name, next=entrance.handshake_hint)
            return Response(status_code=403)
        return Response(answer, media_type="text/plain")

    def _entrance(self, name: str) -> ServedSource:
        entrance = self.entrances.get(name)
        if entrance is None:
            cure = ": add [sources.generic]" if name == GENERIC else ""
            raise BadRequestError(f"there is no source {name}{cure}", status=404)
        return entrance

    def _admit(self, entrance: ServedSource, request: Request, http: HttpRequest) -> None:
        if not entrance.verified:
            _admit_unverified(entrance, request, http)
        elif not entrance.source.verify(request, self.now_ms()):
            self.tally.add({f"refused:{entrance.name}": 1})
            _log.warning(
                "not_genuine", source=entrance.name,
                next=f"a stranger; or is sources.{entrance.name}.secrets what the provider signs with?",
            )  # fmt: skip
            raise NotGenuineError(entrance)

    async def _keep(self, entrance: ServedSource, unparsed: list[Unparsed]) -> None:
        redacted = [Unparsed(entrance.source.redact(one.body), one.why) for one in unparsed]
        await self.quarantine.keep(entrance.name, entrance.type, redacted)
        self.tally.add({"quarantined": len(unparsed)})
        for one in unparsed:
            _log.warning("quarantined", source=entrance.name, why=one.why, next="rfctl quarantine list")

    async def _store(self, messages: list[Message]) -> list[Added]:
        if not messages:
            return []
        results = await self.intake.add([with_placeholder(message, self.placeholder) for message in messages])
        refused = [one for one in results if one.refused]
        if refused:
            raise KeyTakenError(f"not every message could be stored: {refused[0].refused}")
        for one in results:
            self.expect(one.due_in_ms)
        return results


class NotGenuineError(BadRequestError):
    """A request that nothing proves to be the provider's: 401, and to a provider no word of why."""

    def __init__(self, entrance: ServedSource) -> None:
        fact = f"source {entrance.name}: the signature or token does not match"
        super().__init__(_HOW_TO_SIGN if entrance.in_words else fact, status=401)
        self.in_words = entrance.in_words


def _admit_unverified(entrance: ServedSource, request: Request, http: HttpRequest) -> None:
    cure = f"set sources.{entrance.name}.secrets"
    if not entrance.insecure and not is_local(http):
        raise BadRequestError(
            f"source {entrance.name} has no secret and is served to this machine only: {cure}", status=401
        )
    if entrance.json_only and not _is_json(request.header("content-type")):
        raise BadRequestError(
            f"source {entrance.name} has no secret and takes JSON alone: send Content-Type: application/json, or {cure}",
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


def _read(entrance: ServedSource, body: bytes) -> ParseResult:
    try:
        return entrance.source.messages(body)
    except NotUnderstoodError as problem:
        return ParseResult(unparsed=[Unparsed(body, problem.fact)])
    except BadRequestError:
        raise
    except Exception as problem:
        _log.exception("bug", source=entrance.name, problem=repr(problem))
        return ParseResult(unparsed=[Unparsed(body, f"a bug in rfctl: {type(problem).__name__}")])


async def body_of(http: HttpRequest, most: int) -> bytes:
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
    last = {one.phone: one for one in results}
    return {
        "success": True,
        "addedCount": sum(one.added for one in results),
        "duplicates": sum(not one.added for one in results),
        "batches": [
            {"phone": one.phone, "size": one.size, "dueInMs": one.due_in_ms} for one in last.values()
        ],
    }
